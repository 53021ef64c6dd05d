package stages

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

const kindScrub = "scrub"

// scrub adds the stage that zeroes every dead byte. It stands behind the
// checks of what is on the disk.
func (s *set) scrub(disk string, checks []builder.Input) string {
	return s.add(builder.Stage{
		Name:    StageScrub,
		Title:   "scrub the disk",
		Kind:    kindScrub,
		Version: 2,
		Inputs:  append([]builder.Input{from(disk, "disk")}, roles("check", checks)...),
	}, nil)
}

// scrubDisk is the runner.
func (o Options) scrubDisk(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	r, closer, err := OpenDisk(ctx, w.Store, w.Inputs["disk"])
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	plan, err := sanitize.Prepare(ctx, r, sanitizing())
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
	report, err := putJSON(ctx, w.Store, plan.Report)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"disk": desc, "report": report}, nil
}

// sanitizing says how a disk of ours is scrubbed, and what its proof must find.
func sanitizing() sanitize.Options { return sanitize.Options{Drivers: drivers.All()} }
