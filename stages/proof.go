package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

const kindProof = "proof"

// proofParams say how strict the gate behind the scrub is.
type proofParams struct {
	Policy string `json:"policy"`
}

// proof adds the stage that reads the scrubbed disk anew. It and the audit
// need not wait for each other.
func (s *set) proof(scrub string) string {
	return s.add(builder.Stage{
		Name:    StageProof,
		Title:   "prove the scrub",
		Kind:    kindProof,
		Version: 1,
		Inputs:  []builder.Input{from(scrub, "disk"), from(scrub, "report")},
	}, proofParams{Policy: s.Recipe.Recipe.Sanitize.Policy})
}

// proveDisk is the runner: it adds the proof to the report of the scrub. It
// fails, under every policy but "none", when a byte has no owner or the proof
// does not hold.
func (o Options) proveDisk(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[proofParams](w)
	if err != nil {
		return nil, err
	}
	var report sanitize.Report
	text, err := readInput(ctx, w, "report")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading the report of the scrub: %w", err)
	}
	r, closer, err := OpenDisk(ctx, w.Store, w.Inputs["disk"])
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	proof, err := sanitize.Prove(ctx, r, sanitizing(), report.Live)
	if err != nil {
		return nil, err
	}
	report.Proof = &proof
	if err := gate(&report, p.Policy); err != nil {
		return nil, err
	}
	desc, err := putJSON(ctx, w.Store, report)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"report": desc}, nil
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
