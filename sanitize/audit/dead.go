package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// scanRuns scans what was not read through a filesystem.
func (a *auditor) scanRuns(ctx context.Context) error {
	walked := func(off int64) bool {
		i, ok := a.volumeAt(off)
		return ok && a.walked[i]
	}
	produce := func(ctx context.Context, emit func(job) error) error {
		return a.runs(walked, func(r run) error {
			s := source{a.disk, r.Extent, ""}
			return a.chunks(r, func(own disk.Extent) error {
				return emit(func(w *worker) result { return a.scanChunk(w, s, own) })
			})
		})
	}
	p := pool{workers: a.Workers, take: a.take}
	return p.run(ctx, newWorker, produce)
}

// scanChunk is the job of one chunk of the disk.
func (a *auditor) scanChunk(w *worker, s source, own disk.Extent) result {
	res := result{found: a.jobTally(), cost: own.Len}
	w.left = a.MaxUnpacked
	w.outer.unpack = func(at int64, name string, r io.Reader) {
		// What is beyond a bound was deleted, and nobody asks for all of it.
		_ = a.scanPacked(w, r, name, a.MaxUnpacked, func(f Finding) bool {
			f.Offset = at
			if !a.place(&f) {
				return false
			}
			res.found.add(f)
			return true
		})
	}
	emit := func(f Finding) bool {
		if !a.place(&f) {
			return false
		}
		res.found.add(f)
		if f.Kind == File {
			a.unpackDead(w, s, f, res.found.add)
		}
		return true
	}
	for off := own.Off; off < own.End(); off += windowSize {
		part := disk.Extent{Off: off, Len: min(windowSize, own.End()-off)}
		win, spans, err := w.scan(a.dead, s, part, emit)
		for _, e := range spans {
			res.scanned += e.Len
			res.residue = a.appendDead(res.residue, win, e)
		}
		if err != nil {
			res.problems = append(res.problems, Problem{Offset: part.Off, Error: fmt.Sprintf("reading %d bytes: %v", part.Len, err)})
		}
	}
	for _, kind := range kinds {
		sortFindings(res.found.findings[kind])
	}
	return res
}

// place says whose bytes a finding on the disk lies in. It returns false for
// what is no finding there: the structures of a filesystem that lives, unless
// all is asked for.
func (a *auditor) place(f *Finding) bool {
	i := a.ledger.at(f.Offset)
	if i < 0 {
		return false
	}
	g := a.ledger.region(i)
	f.Class, f.Owner = g.Class, clean(g.Owner)
	if f.Kind != File || a.All {
		return true
	}
	return g.Class != sanitize.Metadata && !(f.superblock && g.Class == sanitize.BootCode)
}

// appendDead counts, block by block, the bytes of e that nobody owns and that
// are not zero. An extent of the list begins in the block and is as long as
// their number.
func (a *auditor) appendDead(list []disk.Extent, win carve.Window, e disk.Extent) []disk.Extent {
	i := a.ledger.at(e.Off)
	for off := e.Off; off < e.End() && i >= 0 && i < len(a.ledger.starts); {
		g := a.ledger.region(i)
		if g.End() <= off {
			i++
			continue
		}
		end := min(g.End(), e.End(), (off/block+1)*block)
		if g.Class.Dead() || g.Class == sanitize.Unknown {
			p := win.Data[off-win.Off : end-win.Off]
			if n := len(p) - bytes.Count(p, []byte{0}); n > 0 {
				list = append(list, disk.Extent{Off: off, Len: int64(n)})
			}
		}
		off = end
	}
	return list
}

// jobTally returns an empty tally for one job.
func (a *auditor) jobTally() *tally {
	if t, ok := a.spare.Get().(*tally); ok {
		return t
	}
	return newTally(maxChunkFindings)
}

// take adds what a job found to the whole.
func (a *auditor) take(r result) error {
	a.scanned += r.scanned
	a.drawResidue(r.residue)
	a.files += r.files
	for _, p := range r.problems {
		a.problem(p)
	}
	var failed error
	a.total.merge(r.found, func(f *Finding) bool {
		if a.total.covers(f) {
			return false
		}
		a.total.cover(f)
		if a.judge(f) {
			a.forbidden++
		}
		if a.Found != nil && failed == nil {
			failed = a.Found(*f)
		}
		return true
	})
	r.found.reset()
	a.spare.Put(r.found)
	if a.Progress != nil {
		a.done += r.cost
		a.Progress(a.done, a.ledger.size)
	}
	return failed
}
