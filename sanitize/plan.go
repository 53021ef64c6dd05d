package sanitize

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
)

// Plan is a scrub that has been thought through: nothing is written yet. The
// image that it describes can be taken from [Plan.Reader] as a new one, or be
// made in place by [Plan.Apply]; [Plan.Prove] holds either to the promise.
type Plan struct {
	// Report tells what was found. Prove adds the proof to it.
	Report *Report

	opts   Options
	ledger *Ledger
	stored []storage     // of the regions of the ledger
	clear  cleared       // the disk without what is dead
	after  *disk.Overlay // over clear, with new checksums
}

// storage is what a region was found to hold.
type storage uint8

const (
	holdsData    storage = 1 << iota // it is not a hole altogether
	holdsNonZero                     // a byte of it is not zero
)

// Prepare takes the ledger of r, looks at what is dead and works out the
// checksums of what is left. r is only read.
//
// The error wraps [ErrRefused] when a filesystem must not be scrubbed as it
// is.
func Prepare(ctx context.Context, r disk.Reader, opts Options) (*Plan, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	cached := disk.Cached(r)
	l, digest, err := survey(ctx, cached, opts.Drivers)
	if err != nil {
		return nil, err
	}
	p := &Plan{Report: newReport(l), opts: opts, ledger: l}
	p.clear = cleared{cached, p.dead()}
	p.after = disk.NewOverlay(p.clear)
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() (err error) {
		p.Report.Live, err = digest.sum(ctx, r, l)
		return wrap("digesting the live tree", err)
	})
	tasks.Go(func() error {
		if err := reseal(ctx, p.after, l); err != nil {
			return err
		}
		unread, err := worthwhile(r, p.unread(opts.holes(r)))
		if err != nil {
			return err
		}
		return p.account(ctx, r, digest, unread)
	})
	return p, tasks.Wait()
}

// wrap is err with what was being done, or nil.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// dead returns the runs that are to be zeroed, neighbours as one.
func (p *Plan) dead() []disk.Extent {
	var runs []disk.Extent
	for _, g := range p.ledger.Regions {
		if !p.opts.selects(g.Class) {
			continue
		}
		if k := len(runs); k > 0 && runs[k-1].End() == g.Off {
			runs[k-1].Len += g.Len
			continue
		}
		runs = append(runs, g.Extent)
	}
	return runs
}

// holes returns what the result makes of dead runs in r.
func (o Options) holes(r disk.Reader) disk.Holes {
	if o.Anew {
		return disk.Holes{Grain: disk.BlockSize, From: disk.BlockSize}
	}
	return holesOf(r)
}

// holesOf returns what the medium of r makes of a punch.
func holesOf(r disk.Reader) disk.Holes {
	if h, ok := r.(disk.Holer); ok {
		return h.Holes()
	}
	return disk.Holes{From: punchFrom}
}

// unread returns the parts of dead runs that will be holes in the result: nobody needs to know what they hold. What is resealed is not among them.
func (p *Plan) unread(h disk.Holes) []disk.Extent {
	if h.Grain == 0 {
		return nil
	}
	dead, runs, changes := p.clear.dead, []disk.Extent(nil), p.after.Changes()
	for _, z := range p.zones() {
		sealed := &units{zone: z}
		sealed.addAll(changes)
		for len(dead) > 0 && dead[0].Off < z.End() {
			off, end := max(dead[0].Off, z.Off), min(dead[0].End(), z.End())
			from, to := z.inner(disk.Extent{Off: off, Len: end - off})
			if to-from >= h.From {
				_ = sealed.around(disk.Extent{Off: from, Len: to - from}, func(e disk.Extent) error {
					if e.Len >= h.From {
						runs = append(runs, aligned(e.Off, e.End(), h.Grain)...)
					}
					return nil
				})
			}
			if dead[0].End() > z.End() {
				break
			}
			dead = dead[1:]
		}
	}
	return runs
}

// countExactly is how much, in bytes, is read although nobody needs to know what
// it holds: it takes no time, and what an earlier scrub left behind as zeros does
// not count as changed again.
const countExactly = 64 << 20

// worthwhile returns the extents unless they hold little.
func worthwhile(r disk.Reader, unread []disk.Extent) ([]disk.Extent, error) {
	s := newScanner(r)
	var data int64
	for _, e := range unread {
		for off := e.Off; off < e.End(); {
			run, err := s.next(off, e.End())
			if err != nil {
				return nil, err
			}
			if run.Len == 0 {
				break
			}
			if data += run.Len; data > countExactly {
				return unread, nil
			}
			off = run.End()
		}
	}
	return nil, nil
}

// aligned returns the whole grains in [from, to), if there are any.
func aligned(from, to, grain int64) []disk.Extent {
	from, to = (from+grain-1)/grain*grain, to/grain*grain
	if from >= to {
		return nil
	}
	return []disk.Extent{{Off: from, Len: to - from}}
}

// account reads what is dead or unknown, but for unread, and counts every
// region.
func (p *Plan) account(ctx context.Context, r disk.Reader, digest *digestion, unread []disk.Extent) error {
	looked, err := digest.unless(p.ledger, func(g Region) bool { return g.Class.Dead() || g.Class == Unknown })
	if err != nil {
		return err
	}
	regions := p.ledger.Regions
	p.stored = make([]storage, len(regions))
	done := 0
	report := func(to int, t tally) { // what the count leaves out holds nothing
		for ; done < to; done++ {
			p.Report.count(regions[done], t, p.opts.selects(regions[done].Class))
		}
	}
	err = count(ctx, r, regions, looked, unread, func(i int, t tally) {
		report(i, tally{})
		report(i+1, t)
		p.stored[i] = holdsData
		if t.nonZero > 0 {
			p.stored[i] |= holdsNonZero
		}
	})
	report(len(regions), tally{})
	return wrap("counting what is not zero", err)
}

// Reader returns the image as the scrub leaves it. It reads the disk that the
// plan was made for.
func (p *Plan) Reader() disk.Reader { return p.after }

// Prove takes a fresh ledger of r, the result, and holds it to the plan.
func (p *Plan) Prove(ctx context.Context, r disk.Reader) error {
	proof, err := Prove(ctx, r, p.opts, p.Report.Live)
	p.Report.Proof = &proof
	return err
}

// reseal lets each filesystem, then the partition table, redo its checksums.
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
	return wrap("resealing the partition table", l.table.Reseal(w))
}
