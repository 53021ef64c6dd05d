package ext

import (
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// recordsRead is how many bytes of an inode table are read at a time.
const recordsRead = 64 << 10

// tableReader goes through the inodes in use of one group after the other, in
// the order of their table, many records in one read.
type tableReader struct {
	f     *filesystem
	r     disk.Reader // where the records are read from
	buf   []byte
	inode inode
}

// group calls fn with each inode in use of group g and with the byte at which
// its record begins. The inode changes with the next call.
func (t *tableReader) group(g int64, fn func(n *inode, off int64) error) error {
	f := t.f
	used, err := f.inodesInUse(g)
	if err != nil || used == nil {
		return err
	}
	last := f.inodesPerGroup
	for last > 0 && !used.set(last-1) {
		last--
	}
	first, end := int64(0), int64(0) // the records in buf
	for i := int64(0); i < last; {
		set, count := used.run(i, last)
		if !set {
			i += count
			continue
		}
		for to := i + count; i < to; i++ {
			at := f.groups[g].inodeTable*f.block + i*f.inodeSize
			if i >= end {
				first, end = i, min(i+recordsRead/f.inodeSize, last)
				size := int((end - first) * f.inodeSize)
				t.buf = slices.Grow(t.buf[:0], size)[:size]
				if err := sanitize.ReadFull(t.r, t.buf, at); err != nil {
					return fmt.Errorf("reading the inodes of group %d: %w", g, err)
				}
			}
			raw := t.buf[(i-first)*f.inodeSize:][:f.inodeSize]
			if err := f.parseInto(&t.inode, uint32(g*f.inodesPerGroup+i+1), raw); err != nil {
				return err
			}
			if err := fn(&t.inode, at); err != nil {
				return err
			}
		}
	}
	return nil
}
