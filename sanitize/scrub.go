package sanitize

import (
	"context"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// punchFrom is the length, in bytes, from which a dead run is punched. Below
// it zeros are written: on a journalling host an isolated hole costs thirty
// times as much as a small write.
const punchFrom = 64 << 10

// Options say what a scrub may do.
type Options struct {
	// Drivers are asked in this order; see sanitize/drivers.
	Drivers []Driver
	// Only, unless empty, limits the scrub to these dead classes. Except
	// takes classes away.
	Only, Except []Class
	// DryRun reports what a scrub would do and writes nothing.
	DryRun bool
}

// selects reports whether a region of class c is to be zeroed.
func (o Options) selects(c Class) bool {
	return c.Dead() && (len(o.Only) == 0 || slices.Contains(o.Only, c)) && !slices.Contains(o.Except, c)
}

func (o Options) validate() error {
	for _, c := range slices.Concat(o.Only, o.Except) {
		if c > Gap || !c.Dead() {
			return fault.New(fault.Usage, fmt.Errorf("class %q is not dead", c), "choose among free, slack, stale and gap")
		}
	}
	return nil
}

// Scrub zeroes what the ledger of w calls dead, reseals the checksums around
// it and proves the result. A second run changes nothing; a run that was cut
// off is finished by running again.
//
// The error wraps [ErrRefused] when a filesystem must not be scrubbed as it
// is; then nothing was written. A report that comes with an error is complete
// up to the proof that failed.
func Scrub(ctx context.Context, w disk.Writer, opts Options) (*Report, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	l, err := Read(ctx, w, opts.Drivers, ReadOptions{})
	if err != nil {
		return nil, err
	}
	before, err := Digest(ctx, w, l)
	if err != nil {
		return nil, fmt.Errorf("digesting the live tree: %w", err)
	}
	report := newReport(l)
	z := &zeroer{w: w, dryRun: opts.DryRun}
	if err := scrubRegions(ctx, w, l, opts, z, report); err != nil {
		return nil, err
	}
	if opts.DryRun {
		return report, nil
	}
	if err := reseal(ctx, w, l); err != nil {
		return nil, err
	}
	proof, err := Prove(ctx, w, opts, before)
	report.Proof = &proof
	return report, err
}

// scrubRegions zeroes every selected region and counts every region.
func scrubRegions(ctx context.Context, w disk.Writer, l *Ledger, opts Options, z *zeroer, report *Report) error {
	s := newScanner(w)
	for _, g := range l.Regions {
		var data func(disk.Extent, int64) error
		if opts.selects(g.Class) {
			data = z.zero
		}
		n, err := s.nonZero(ctx, g.Extent, data)
		if err != nil {
			return fmt.Errorf("scrubbing %s (%s) at byte %d: %w", g.Owner, g.Class, g.Off, err)
		}
		report.count(g, n, data != nil)
	}
	return z.flush()
}

// reseal lets each filesystem, then the partition table, redo its checksums.
// It runs even when nothing was zeroed: the run before may have been cut off.
func reseal(ctx context.Context, w disk.Writer, l *Ledger) error {
	for _, v := range l.Volumes {
		r, ok := v.fs.(Resealer)
		if !ok {
			continue
		}
		if err := r.Reseal(ctx, disk.SectionWriter(w, v.Off, v.Len)); err != nil {
			return fmt.Errorf("resealing the %s volume at byte %d: %w", v.Type, v.Off, err)
		}
	}
	if l.table == nil {
		return nil
	}
	if err := l.table.Reseal(w); err != nil {
		return fmt.Errorf("resealing the partition table: %w", err)
	}
	return nil
}

// zeroer collects adjacent dead runs, so that one call zeroes them.
type zeroer struct {
	w      disk.Writer
	dryRun bool
	run    disk.Extent
	dirty  bool // run holds a byte other than zero
}

func (z *zeroer) zero(e disk.Extent, nonZero int64) error {
	if z.run.End() != e.Off || z.run.Len == 0 {
		if err := z.flush(); err != nil {
			return err
		}
		z.run = disk.Extent{Off: e.Off}
	}
	z.run.Len += e.Len
	z.dirty = z.dirty || nonZero > 0
	return nil
}

// flush zeroes the collected run. A long run of stored zeros is punched too:
// that changes no byte and gives the space back.
func (z *zeroer) flush() error {
	run, dirty := z.run, z.dirty
	z.run, z.dirty = disk.Extent{}, false
	switch {
	case z.dryRun || run.Len == 0:
		return nil
	case run.Len >= punchFrom:
		if err := z.w.Punch(run.Off, run.Len); err != nil {
			return fmt.Errorf("punching %d bytes at byte %d: %w", run.Len, run.Off, err)
		}
	case dirty:
		if _, err := z.w.WriteAt(make([]byte, run.Len), run.Off); err != nil {
			return fmt.Errorf("zeroing %d bytes at byte %d: %w", run.Len, run.Off, err)
		}
	}
	return nil
}
