package sanitize

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// punchFrom is the length, in bytes, from which a dead run is punched where the
// disk does not say ([disk.Holer]). Below it zeros are written: on a journalling
// host an isolated hole costs thirty times as much as a small write.
const punchFrom = 64 << 10

// Apply makes the change in place. w must hold what the plan was made for.
//
// A cut at any moment leaves an image that its checkers accept and that
// another scrub finishes: a run that is dead as a whole is nobody's, and bytes
// that share a unit with others (a directory block, a table of partitions) are
// written in one call together with the checksum over them. The two copies of a
// GPT come last, right after each other: in between each is whole, and they
// differ in what they keep of deleted partitions.
func (p *Plan) Apply(ctx context.Context, w disk.Writer) error {
	a := applier{ctx: ctx, p: p, w: w, punchFrom: min(holesOf(w).From, int64(len(zeros))), changes: p.after.Changes()}
	for _, table := range []bool{false, true} {
		for _, z := range p.zones() {
			if z.table != table {
				continue
			}
			if err := a.zone(z); err != nil {
				return fmt.Errorf("scrubbing the bytes at %s: %w", z.Extent, err)
			}
		}
	}
	return nil
}

// applier goes through the regions and the changes of one zone at a time.
type applier struct {
	ctx       context.Context
	p         *Plan
	w         disk.Writer
	punchFrom int64
	region    int   // the first that is not done
	at        int64 // how far it is done
	changes   []disk.Extent
	now, then []byte // buffers for a row of units
}

// deadRun is a run of dead regions, and what they hold.
type deadRun struct {
	disk.Extent
	stored storage
	// All that is not zero lies in [first, last).
	first, last int64
}

// next returns the next dead run in a zone; an empty one at its end.
func (a *applier) next(z zone) deadRun {
	var run deadRun
	regions := a.p.ledger.Regions
	for ; a.region < len(regions); a.region++ {
		g := regions[a.region]
		from, to := max(g.Off, z.Off, a.at), min(g.End(), z.End())
		if from >= to {
			break
		}
		dead := a.p.opts.selects(g.Class)
		if !dead && run.Len > 0 {
			break
		}
		if dead {
			if run.Len == 0 {
				run.Off = from
			}
			run.Len = to - run.Off
			run.add(a.p.stored[a.region], from, to)
		}
		if a.at = to; g.End() > to {
			break
		}
	}
	return run
}

// add adds what the region at [from, to) holds.
func (r *deadRun) add(s storage, from, to int64) {
	if s&holdsNonZero != 0 {
		if r.stored&holdsNonZero == 0 {
			r.first = from
		}
		r.last = to
	}
	r.stored |= s
}

// zone makes the changes in one zone: runs that are dead as a whole, then the
// units that dead bytes share with others or that hold a checksum, and at last
// what closes the filesystem.
func (a *applier) zone(z zone) error {
	regions := a.p.ledger.Regions
	a.region = sort.Search(len(regions), func(i int) bool { return regions[i].End() > z.Off })
	a.at = z.Off
	shared := &units{zone: z}
	var whole []deadRun
	for r := a.next(z); r.Len > 0; r = a.next(z) {
		if r.stored == 0 {
			continue // a hole
		}
		from, to := z.inner(r.Extent)
		if r.stored&holdsNonZero != 0 {
			shared.add(r.first, min(from, r.last))
			shared.add(max(to, r.first), r.last)
		}
		if from >= to {
			continue
		}
		r.Extent = disk.Extent{Off: from, Len: to - from}
		whole = append(whole, r)
	}
	shared.addAll(a.changes)
	for _, r := range whole {
		if err := a.zero(r, shared); err != nil {
			return err
		}
	}
	first, last := shared.split(z.closing)
	for _, list := range [][]int64{first, last} {
		if err := a.write(z, list); err != nil {
			return err
		}
	}
	return nil
}

// zero empties a run that is dead as a whole, but for the units that get other
// bytes than zeros. A long run of stored zeros is punched too: that changes no
// byte and gives the space back.
func (a *applier) zero(r deadRun, but *units) error {
	return but.around(r.Extent, func(e disk.Extent) error {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if r.stored&holdsNonZero == 0 && (r.stored&holdsData == 0 || e.Len < a.punchFrom) {
			return nil
		}
		var err error
		if e.Len >= a.punchFrom {
			err = a.w.Punch(e.Off, e.Len)
		} else {
			// Not Punch, which would first ask where the holes are.
			_, err = a.w.WriteAt(zeros[:e.Len], e.Off)
		}
		return wrap(fmt.Sprintf("zeroing the bytes at %s", e), err)
	})
}

// zeros is what short runs are overwritten with.
var zeros [punchFrom]byte

// unitsRead is how many bytes of units are looked at together.
const unitsRead = 256 << 10

// write brings units to what the plan says, neighbours in one call.
func (a *applier) write(z zone, numbers []int64) error {
	for len(numbers) > 0 {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		n := 1
		for n < len(numbers) && numbers[n] == numbers[n-1]+1 && int64(n+1)*z.unit <= unitsRead {
			n++
		}
		off := z.Off + numbers[0]*z.unit
		end := min(off+int64(n)*z.unit, z.End())
		more := n < len(numbers) && numbers[n] == numbers[n-1]+1
		done, err := a.rewrite(off, end, z.unit, more)
		if err != nil {
			return err
		}
		numbers = numbers[(done-off+z.unit-1)/z.unit:]
	}
	return nil
}

// rewrite brings the units in [off, end) to what the plan says. When more
// follow, it may leave the last ones that change to be written together with
// those, and returns how far it came.
func (a *applier) rewrite(off, end, unit int64, more bool) (done int64, err error) {
	n := int(end - off)
	a.now, a.then = slices.Grow(a.now[:0], n), slices.Grow(a.then[:0], n)
	now, then := a.now[:n], a.then[:n]
	if err := ReadFull(a.w, now, off); err != nil {
		return 0, err
	}
	copy(then, now)
	a.p.clear.clear(then, off)
	a.p.after.Patch(then, off)
	same := func(at int64) bool {
		to := min(at+unit, int64(len(now)))
		return bytes.Equal(now[at:to], then[at:to])
	}
	for at := int64(0); at < int64(len(now)); {
		if same(at) {
			at += unit
			continue
		}
		from := at
		for at < int64(len(now)) && !same(at) {
			at += unit
		}
		at = min(at, int64(len(now)))
		if more && from > 0 && at == int64(len(now)) {
			return off + from, nil
		}
		if _, err := a.w.WriteAt(then[from:at], off+from); err != nil {
			return 0, fmt.Errorf("writing %d bytes at byte %d: %w", at-from, off+from, err)
		}
	}
	return end, nil
}
