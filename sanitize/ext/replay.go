package ext

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Replay implements [sanitize.Replayer]: it replays a journal inside the
// filesystem. Blocks of the log are shown in their place, not copied.
func (Driver) Replay(ctx context.Context, r disk.Reader) (sanitize.Replayed, error) {
	s, err := readSuper(r)
	if err != nil || s.incompat&incompatRecover == 0 {
		return nil, nil // Open says why
	}
	f := newFilesystem(s, r)
	if f.compat&compatJournal == 0 || f.journalInum == 0 {
		return nil, refused("the journal is on another device")
	}
	if err := f.readGroups(ctx); err != nil {
		return nil, err
	}
	l, err := f.openLog(ctx)
	if err != nil {
		return nil, err
	}
	found, err := l.recover(ctx)
	if err != nil {
		return nil, err
	}
	v := &replayed{Reader: r, block: f.block, places: map[int64]place{}}
	for n, t := range found.replaced {
		_, at, err := l.read(t.logical)
		if err != nil {
			return nil, err
		}
		v.places[n] = place{at, t.escaped}
	}
	v.order = slices.Sorted(maps.Keys(v.places))
	at, _ := l.m.physical(0)
	v.overlay = disk.NewOverlay(journalView{v})
	return v, v.finish(ctx, found, at*f.block)
}

// place is where the log has a block.
type place struct {
	phys    int64
	escaped bool
}

// replayed is a filesystem whose log has been replayed: the log's blocks in
// their places, and on top what says that nothing is pending.
type replayed struct {
	disk.Reader // as it was
	block       int64
	places      map[int64]place
	order       []int64
	overlay     *disk.Overlay
	final       []disk.Extent // what is written last, in this order
}

func (v *replayed) ReadAt(p []byte, off int64) (int, error) { return v.overlay.ReadAt(p, off) }
func (v *replayed) NextData(off int64) (disk.Extent, error) { return v.overlay.NextData(off) }
func (v *replayed) put(p []byte, off int64) error {
	_, err := v.overlay.WriteAt(p, off)
	v.final = append(v.final, disk.Extent{Off: off, Len: int64(len(p))})
	return err
}

// finish marks the log as empty, then the filesystem as replayed, and brings
// its counts of what is free up to date, which the kernel does not log.
func (v *replayed) finish(ctx context.Context, r *recovery, log int64) error {
	be := binary.BigEndian
	b := make([]byte, journalSuperLen)
	if err := sanitize.ReadFull(v, b, log); err != nil {
		return err
	}
	be.PutUint32(b[journalOffStart:], 0)
	be.PutUint32(b[offJSequence:], r.end+1)
	if r.checksums() {
		be.PutUint32(b[offJSum:], crc(^uint32(0), withoutSum(b, offJSum)))
	}
	if err := v.put(b, log); err != nil {
		return err
	}
	s, err := readSuper(v)
	if err != nil {
		return fmt.Errorf("reading the superblock of the log: %w", err)
	}
	f := &filesystem{super: s, r: v}
	if err := f.readGroups(ctx); err != nil {
		return err
	}
	b = make([]byte, superLen)
	if err := sanitize.ReadFull(v, b, superOff); err != nil {
		return err
	}
	le := binary.LittleEndian
	le.PutUint32(b[0x60:], s.incompat&^incompatRecover)
	if idle, err := f.orphansIdle(ctx); err != nil {
		return err
	} else if idle {
		le.PutUint32(b[offRoCompat:], s.roCompat&^roOrphanPresent)
	}
	blocks, inodes := f.countFree()
	le.PutUint32(b[0xc:], uint32(blocks))
	if s.incompat&incompat64Bit != 0 {
		le.PutUint32(b[0x158:], uint32(blocks>>32))
	}
	le.PutUint32(b[0x10:], uint32(inodes))
	if s.hasChecksums() {
		le.PutUint32(b[offSuperSum:], crc(^uint32(0), b[:offSuperSum]))
	}
	return v.put(b, superOff)
}

// countFree sums what the group descriptors say.
func (f *filesystem) countFree() (blocks, inodes int64) {
	for _, g := range f.groups {
		blocks += g.freeClusters * f.cluster
		inodes += g.freeInodes
	}
	return blocks, inodes
}

// orphansIdle reports whether an orphan file is there in which nobody waits.
func (f *filesystem) orphansIdle(ctx context.Context) (bool, error) {
	if f.roCompat&roOrphanPresent == 0 || f.orphanFile == 0 {
		return false, nil
	}
	n, err := f.inode(f.orphanFile)
	if err != nil {
		return false, err
	}
	m, err := f.mapping(ctx, n, nil)
	if err != nil {
		return false, err
	}
	b := make([]byte, f.block)
	for _, r := range m.runs {
		for i := range r.Count {
			if err := sanitize.ReadFull(f.r, b, (r.Phys+i)*f.block); err != nil {
				return false, err
			}
			if !disk.IsZero(b[:f.block-orphanTail]) {
				return false, nil
			}
		}
	}
	return true, nil
}

// Apply writes the blocks of the log to their places, then empties the log,
// then marks the filesystem.
func (v *replayed) Apply(ctx context.Context, w disk.Writer) error {
	b := make([]byte, v.block)
	for _, n := range v.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := sanitize.ReadFull(journalView{v}, b, n*v.block); err != nil {
			return err
		}
		if _, err := w.WriteAt(b, n*v.block); err != nil {
			return err
		}
	}
	for _, e := range v.final {
		p := make([]byte, e.Len)
		if err := sanitize.ReadFull(v.overlay, p, e.Off); err != nil {
			return err
		}
		if _, err := w.WriteAt(p, e.Off); err != nil {
			return err
		}
	}
	return nil
}

// journalView shows the blocks of the log in their places.
type journalView struct{ v *replayed }

func (j journalView) Size() int64 { return j.v.Reader.Size() }

// ReadAt implements [io.ReaderAt].
func (j journalView) ReadAt(p []byte, off int64) (int, error) {
	n, err := j.v.Reader.ReadAt(p, off)
	first, end := off/j.v.block, off+int64(n)
	i, _ := slices.BinarySearch(j.v.order, first)
	for ; i < len(j.v.order) && j.v.order[i]*j.v.block < end; i++ {
		at := j.v.order[i] * j.v.block
		from, to := max(at, off), min(at+j.v.block, end)
		if err := j.logged(p[from-off:to-off], j.v.places[j.v.order[i]], from-at); err != nil {
			return 0, err
		}
	}
	return n, err
}

// logged reads a part of a block in the log. One that began with the journal's
// magic has zeros there.
func (j journalView) logged(p []byte, at place, in int64) error {
	if err := sanitize.ReadFull(j.v.Reader, p, at.phys*j.v.block+in); err != nil {
		return err
	}
	if at.escaped && in < 4 {
		copy(p, binary.BigEndian.AppendUint32(nil, journalMagic)[in:])
	}
	return nil
}

// NextData implements [disk.Reader].
func (j journalView) NextData(off int64) (disk.Extent, error) {
	if off < 0 || off >= j.Size() {
		return disk.Extent{}, io.EOF
	}
	e, err := j.v.Reader.NextData(off)
	if err != nil && err != io.EOF {
		return e, err
	}
	i, _ := slices.BinarySearch(j.v.order, off/j.v.block)
	if i < len(j.v.order) {
		from := max(j.v.order[i]*j.v.block, off)
		if err == io.EOF || from < e.Off {
			return disk.Extent{Off: from, Len: min((j.v.order[i]+1)*j.v.block, j.Size()) - from}, nil
		}
	}
	return e, err
}
