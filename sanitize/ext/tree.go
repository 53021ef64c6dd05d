package ext

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deep directories nest.
const maxDepth = 4096

// inodeSet is a set of inode numbers, one bit each.
type inodeSet []uint64

func newInodeSet(inodes int64) inodeSet { return make(inodeSet, inodes/64+1) }

func (s inodeSet) has(num uint32) bool { return s[num/64]>>(num%64)&1 == 1 }

// add reports whether num was not in the set before.
func (s inodeSet) add(num uint32) bool {
	fresh := !s.has(num)
	s[num/64] |= 1 << (num % 64)
	return fresh
}

// descend visits every path from the root, directories before what is in
// them. visit returns the entries of a directory, nil to go no deeper.
func (f *filesystem) descend(ctx context.Context, visit func(n *inode, path string) ([]dirent, error)) error {
	d := descent{f: f, ctx: ctx, dirs: newInodeSet(f.inodes), visit: visit}
	return d.inode(inodeRoot, "/", 0)
}

type descent struct {
	f     *filesystem
	ctx   context.Context
	dirs  inodeSet
	visit func(n *inode, path string) ([]dirent, error)
}

func (d descent) inode(num uint32, path string, depth int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	n, err := d.f.inode(num)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if n.kind() == modeDir && !d.dirs.add(num) {
		return fmt.Errorf("reading %s: directory %d has two parents", path, num)
	}
	entries, err := d.visit(n, path)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	if path == "/" {
		path = ""
	}
	for _, e := range entries {
		if err := d.inode(e.num, path+"/"+e.name, depth+1); err != nil {
			return err
		}
	}
	return nil
}
