package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const kindScrub = "scrub"

// scrubParams say how strict the gate behind the scrub is.
type scrubParams struct {
	Policy string `json:"policy"`
}

// scrub adds the stage that zeroes every dead byte and proves it. It stands
// behind the checks of what is on the disk.
func (s *set) scrub(disk string, checks []builder.Input) string {
	return s.add(builder.Stage{
		Name:    StageScrub,
		Title:   "scrub and prove the disk",
		Kind:    kindScrub,
		Version: 1,
		Inputs:  append([]builder.Input{from(disk, "disk")}, roles("check", checks)...),
	}, scrubParams{Policy: s.Recipe.Recipe.Sanitize.Policy})
}

// scrubDisk is the runner. It fails, under every policy but "none", when a
// byte has no owner or the proof does not hold.
func (o Options) scrubDisk(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[scrubParams](w)
	if err != nil {
		return nil, err
	}
	r, closer, err := OpenDisk(ctx, w.Store, w.Inputs["disk"])
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	plan, err := sanitize.Prepare(ctx, r, sanitize.Options{Drivers: drivers.All()})
	if errors.Is(err, sanitize.ErrRefused) {
		err = fault.New(fault.Residue, err)
	}
	if err != nil {
		return nil, fmt.Errorf("scrubbing the disk: %w", err)
	}
	desc, err := putDisk(ctx, w, plan.Reader())
	if err != nil {
		return nil, fmt.Errorf("writing the scrubbed disk: %w", err)
	}
	if err := prove(ctx, w, plan, desc); err != nil {
		return nil, fmt.Errorf("proving the scrubbed disk: %w", err)
	}
	report := plan.Report
	if err := gate(report, p.Policy); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return nil, err
	}
	account, err := putBytes(ctx, w.Store, append(text, '\n'), mediaTypeJSON)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"disk": desc, "report": account}, nil
}

// prove reads what was stored and adds the proof to the report of the plan.
func prove(ctx context.Context, w *builder.Work, plan *sanitize.Plan, desc ocispec.Descriptor) error {
	r, closer, err := OpenDisk(ctx, w.Store, desc)
	if err != nil {
		return err
	}
	defer closer.Close()
	return plan.Prove(ctx, r)
}

// gate decides whether the disk may go on.
func gate(report *sanitize.Report, policy string) error {
	if policy == "none" {
		return nil
	}
	if report.Proof == nil || !report.Proof.OK {
		return fault.New(fault.Residue, errors.New("the scrubbed disk does not prove clean"))
	}
	if len(report.Unknown) > 0 {
		u := report.Unknown[0]
		return fault.New(fault.Residue, fmt.Errorf("%d regions of the disk have no owner; the first is %s, %d bytes at offset %d",
			len(report.Unknown), u.Owner, u.Length, u.Offset),
			"`sanitize: {policy: none}` lets such a disk pass")
	}
	return nil
}
