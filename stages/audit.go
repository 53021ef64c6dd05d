package stages

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

const kindAudit = "audit"

// auditParams say what the gate lets pass.
type auditParams struct {
	Sanitize recipes.Sanitize `json:"sanitize"`
	// Rules is the digest of the rules and policies.
	Rules string `json:"rules"`
}

// audit adds the gate: the scrubbed disk is searched for what a stranger could
// recover, and for secrets.
func (s *set) audit(scrub string) string {
	return s.add(builder.Stage{
		Name:    StageAudit,
		Title:   "audit the disk",
		Kind:    kindAudit,
		Version: 1,
		Inputs:  []builder.Input{from(scrub, "disk")},
	}, auditParams{s.Recipe.Recipe.Sanitize, audit.RulesDigest()})
}

// auditDisk is the runner. It fails when the policy forbids something.
func (o Options) auditDisk(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[auditParams](w)
	if err != nil {
		return nil, err
	}
	r, closer, err := OpenDisk(ctx, w.Store, w.Inputs["disk"])
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	report, err := auditWith(ctx, r, p.Sanitize)
	if err != nil {
		return nil, err
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	desc, err := putJSON(ctx, w.Store, report)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"report": desc}, nil
}

// auditWith audits a disk under the settings of a recipe.
func auditWith(ctx context.Context, r disk.Reader, settings recipes.Sanitize) (*audit.Report, error) {
	policy, err := audit.PolicyNamed(settings.Policy)
	if err != nil {
		return nil, err
	}
	rules, err := secret.Builtin()
	if err != nil {
		return nil, err
	}
	opts := audit.Options{Drivers: drivers.All(), Rules: secret.NewSet(rules), Policy: policy}
	for i, a := range settings.Allow {
		allow := secret.Allow{Rule: a.Rule, Path: a.Path, Reason: a.Reason}
		if err := allow.Compile(); err != nil {
			return nil, fmt.Errorf("sanitize.allow[%d]: %w", i, err)
		}
		opts.Allow = append(opts.Allow, allow)
	}
	return audit.Run(ctx, r, opts)
}
