package audit

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

//go:embed policies.yaml
var policyData []byte

// Policy says what an image must not hold.
type Policy struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title"`
	// Severity is from which on a secret is forbidden; nothing is when zero.
	Severity secret.Severity `yaml:"severity,omitempty"`
	// Residue is from which confidence on a recoverable file is forbidden.
	Residue carve.Confidence `yaml:"residue,omitempty"`
	// Names forbids names of deleted files.
	Names bool `yaml:"names,omitempty"`
	// Demands forbid findings of rules whatever their severity, but no
	// examples.
	Demands []Demand `yaml:"demands,omitempty"`
}

// Demand is one thing that a publisher asks for.
type Demand struct {
	ID    string   `yaml:"id"`
	Title string   `yaml:"title"`
	Rules []string `yaml:"rules"`
	// Source is the document that asks for it.
	Source string `yaml:"source"`
}

// Policies returns all policies, from the most lenient on.
func Policies() ([]Policy, error) {
	var list []Policy
	if err := yaml.NewDecoder(bytes.NewReader(policyData), yaml.Strict()).Decode(&list); err != nil {
		return nil, fmt.Errorf("reading the policies: %w", err)
	}
	return list, nil
}

// RulesDigest changes whenever the rules or the policies do.
func RulesDigest() string {
	h := sha256.New()
	h.Write(policyData)
	h.Write(secret.BuiltinText())
	return hex.EncodeToString(h.Sum(nil))
}

// PolicyNamed returns the policy of that name. The error is of kind
// [fault.Usage].
func PolicyNamed(name string) (Policy, error) {
	list, err := Policies()
	if err != nil {
		return Policy{}, err
	}
	var names []string
	for _, p := range list {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, fault.New(fault.Usage, fmt.Errorf("there is no policy %q", name), "choose among "+strings.Join(names, ", "))
}

// forbids names what of the policy f breaks; "" when it may stay.
func (p Policy) forbids(f *Finding) string {
	for _, d := range p.Demands {
		if slices.Contains(d.Rules, f.Rule) && f.Kind == Secret && !f.Example {
			return d.ID
		}
	}
	switch {
	case f.Kind == Secret && p.Severity > 0 && f.Severity >= p.Severity:
		return p.Name + "/severity"
	case f.Kind == File && p.Residue > 0 && f.Dead() && f.Confidence >= p.Residue:
		return p.Name + "/residue"
	case f.Kind == Name && p.Names:
		return p.Name + "/names"
	}
	return ""
}

// judge holds a finding to the policy and the allow-list. It reports whether
// the finding is forbidden.
func (a *auditor) judge(f *Finding) bool {
	f.Forbidden = a.Policy.forbids(f)
	for i := range a.Allow {
		if al := &a.Allow[i]; f.Forbidden != "" && al.Allows(f.Rule, f.Owner) {
			f.Forbidden, f.Allowed = "", al.Reason
		}
	}
	return f.Forbidden != ""
}

// Err is the verdict: nil when the image may pass, else an error of kind
// [fault.Residue].
func (r *Report) Err() error {
	if r.Forbidden == 0 {
		return nil
	}
	first := "see the report"
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Forbidden != "" {
			first = fmt.Sprintf("the first is %s (%s) at byte %d, in %s", f.Title, f.Rule, f.Offset, f.where())
			break
		}
	}
	return fault.New(fault.Residue, errors.New(plural(r.Forbidden, "finding")+" against the policy "+r.Policy+"; "+first),
		"remove it from the recipe or the tree, then scrub with `imgbuild sanitize`; what may stay goes into an allow-list: docs/audit.md")
}

// where names the owner of a finding.
func (f *Finding) where() string {
	s := f.Owner
	if f.Dead() {
		s = fmt.Sprintf("%s (%s)", f.Owner, f.Class)
	}
	return s + orNothing(", ", f.Inside)
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
