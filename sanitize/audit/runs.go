package audit

import (
	"errors"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// chunkSize is the unit of work, in bytes. A chunk is read in windows, which fit
// the second-level cache; lookAhead and lookBack are what a window holds of its
// neighbours, so that little is read twice.
const (
	chunkSize  = 4 << 20
	windowSize = 1 << 20
	lookAhead  = 64 << 10
	lookBack   = 4 << 10
)

// run is a stretch of bytes that belong together: a deleted file may lie
// across regions, but not across the files that live.
type run struct {
	disk.Extent
	// live is set for the files of a filesystem that cannot be walked.
	live bool
}

// runs calls fn with the stretches that are scanned as they are stored.
// walked tells whether the live files of the volume at an offset were read
// through their filesystem.
func (a *auditor) runs(walked func(off int64) bool, fn func(run) error) error {
	var cur run
	flush := func() error {
		if cur.Len == 0 {
			return nil
		}
		r := cur
		cur = run{}
		return fn(r)
	}
	for g := range a.ledger.regions {
		live := g.Class == sanitize.Live
		skip := live && !a.All && walked(g.Off)
		if skip || cur.Len > 0 && (live != cur.live || cur.End() != g.Off) {
			if err := flush(); err != nil {
				return err
			}
		}
		if skip {
			continue
		}
		if cur.Len == 0 {
			cur = run{Extent: disk.Extent{Off: g.Off}, live: live}
		}
		cur.Len += g.Len
	}
	return flush()
}

// chunks cuts the data of a run into pieces of at most chunkSize. Holes are
// left out.
func (a *auditor) chunks(r run, fn func(disk.Extent) error) error {
	for off := r.Off; off < r.End(); {
		e, err := a.disk.NextData(off)
		if errors.Is(err, io.EOF) || err == nil && e.Off >= r.End() {
			return nil
		}
		if err != nil {
			return err
		}
		// Pairs of bytes are looked at from even places on.
		from := max(e.Off, off) &^ 1
		end := min(e.End(), r.End())
		for at := from; at < end; at += chunkSize {
			if err := fn(disk.Extent{Off: at, Len: min(chunkSize, end-at)}); err != nil {
				return err
			}
		}
		off = end
	}
	return nil
}

// volumeAt finds the volume that holds a byte; offsets are asked in any order.
func (a *auditor) volumeAt(off int64) (int, bool) {
	for i, v := range a.ledger.volumes {
		if off >= v.Off && off < v.End() {
			return i, true
		}
	}
	return 0, false
}
