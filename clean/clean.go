// Package clean sanitizes image files: it opens whatever holds disks, has the
// sanitize package scrub each, and puts the result into a new file or in place.
//
//	report, err := clean.Run(ctx, "appliance.ova", clean.Options{})
//
// # Sources
//
// A block device, or whatever output/source opens: a disk image, or all disks
// of a package, an archive or a container image. What comes compressed is
// unpacked first, and written plain.
//
// # Results
//
// A new image is written beside the source and gets its name when its proof
// holds. It is written afresh from the plan of the scrub, so that nothing of
// the old container survives, and dead bytes are not even read for it. In place
// are changed raw files and block devices; see [sanitize.Plan.Apply] for what a
// cut leaves behind.
//
// A source that somebody else writes to is refused: a mounted device, a file
// behind a loop device, a disk of a running QEMU.
package clean

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// Policy says which results are good enough.
type Policy string

// The policies are those of recipes.
const (
	// Default wants every byte that is not zero to have an owner.
	Default Policy = "default"
	// None lets pass what nobody could name.
	None Policy = "none"
)

// Policies returns all policies.
func Policies() []Policy { return []Policy{Default, None} }

// Options say what is done with an image.
type Options struct {
	// Out is the file to write, or the folder when there are several disks.
	// Empty means beside the source.
	Out string
	// InPlace changes the source itself.
	InPlace bool
	// Format is that of the result; empty keeps the source's where it can be
	// written, and is raw otherwise.
	Format string
	// Only and Except choose dead classes; see [sanitize.Options].
	Only, Except []sanitize.Class
	// Policy is Default when empty.
	Policy Policy
	// Replay replays the journals of filesystems that were not unmounted.
	Replay bool
	// DryRun reports and writes nothing.
	DryRun bool
}

// Report is the account of an image.
type Report struct {
	Image  string       `json:"image"`
	Policy Policy       `json:"policy"`
	Disks  []DiskReport `json:"disks"`
}

// DiskReport is the account of one disk of the image.
type DiskReport struct {
	// Name is that of the disk's file in a package; empty otherwise.
	Name string `json:"name,omitempty"`
	// From is the format of the source, Format that of the result.
	From   string `json:"from"`
	Format string `json:"format"`
	// Output is the path of the result; empty after a dry run.
	Output string `json:"output,omitempty"`
	// Stored is the space that the result takes, in bytes.
	Stored int64 `json:"stored,omitempty"`
	*sanitize.Report
}

// Run sanitizes the image at path. A report that comes with an error tells of
// the disks that are done, and why the last one is not good enough.
func Run(ctx context.Context, path string, opts Options) (*Report, error) {
	if opts.Policy == "" {
		opts.Policy = Default
	}
	src, err := openSource(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	targets, err := src.targets(opts)
	if err != nil {
		return nil, err
	}
	report := &Report{Image: path, Policy: opts.Policy, Disks: []DiskReport{}}
	for i, k := range src.disks {
		d := DiskReport{Name: k.name, From: k.format, Format: targets[i].format}
		var err error
		if opts.InPlace {
			err = scrubInPlace(ctx, path, opts, &d)
		} else {
			err = scrubInto(ctx, k, targets[i], opts, &d)
		}
		if d.Report != nil {
			report.Disks = append(report.Disks, d)
		}
		if err != nil {
			return report, fmt.Errorf("sanitizing %s: %w", src.label(k), err)
		}
	}
	return report, report.verdict()
}

// scrubOptions are those for the sanitize package.
func (o Options) scrubOptions() sanitize.Options {
	return sanitize.Options{Drivers: drivers.All(), Only: o.Only, Except: o.Except, DryRun: o.DryRun}
}

// replay returns r with its journals replayed, when that is wanted and there
// is something to replay: it is a [sanitize.Replayed] then.
func (o Options) replay(ctx context.Context, r disk.Reader) (disk.Reader, error) {
	if !o.Replay {
		return r, nil
	}
	p, err := sanitize.Replay(ctx, r, drivers.All())
	if p == nil || err != nil {
		return r, err
	}
	return p, nil
}

// verdict holds the result to the policy.
func (r *Report) verdict() error {
	if r.Policy == None {
		return nil
	}
	var n int64
	for _, d := range r.Disks {
		n += d.Classes[sanitize.Unknown].NonZero
	}
	if n == 0 {
		return nil
	}
	return fault.New(fault.Residue, fmt.Errorf("%d bytes of %s have no known owner and were left as they are", n, r.Image),
		"`imgbuild inspect` shows where they are", "--policy none lets such an image pass")
}

// scrubInPlace changes the image itself.
func scrubInPlace(ctx context.Context, path string, opts Options, d *DiskReport) error {
	f, err := openInPlace(path, opts.DryRun)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := disk.NewFile(f)
	if err != nil {
		return err
	}
	r, err := opts.replay(ctx, w)
	if err != nil {
		return explain(err)
	}
	if p, ok := r.(sanitize.Replayed); ok && !opts.DryRun {
		// Only what will be found whole is put in its place.
		if _, err := sanitize.Read(ctx, p, drivers.All(), sanitize.ReadOptions{}); err != nil {
			return explain(err)
		}
		if err := p.Apply(ctx, w); err != nil {
			return explain(err)
		}
		r = w
	}
	if opts.DryRun {
		plan, err := sanitize.Prepare(ctx, r, opts.scrubOptions())
		if err == nil {
			d.Report = plan.Report
		}
		return explain(err)
	}
	if d.Report, err = sanitize.Scrub(ctx, w, opts.scrubOptions()); err != nil {
		return explain(err)
	}
	if err := w.Sync(); err != nil {
		return explain(err)
	}
	d.Output, d.Stored = path, stored(f)
	return nil
}

// explain gives the errors of the medium their kind.
func explain(err error) error {
	if err == nil || len(fault.HintsOf(err)) > 0 || errors.Is(err, context.Canceled) {
		return err
	}
	if isFull(err) {
		return fault.New(fault.Environment, err, "make room, or name a file elsewhere with -o")
	}
	return fault.New(fault.Input, err, "the image may be damaged: let the filesystem's own checker look at a copy of it")
}
