package ntfs

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Bounds on paths. That of Windows is 32767 characters.
const (
	maxDepth = 4096
	maxPath  = 3 * 32767 // bytes
)

// numbers is a set of record numbers, one bit each.
type numbers []uint64

func newNumbers(n int64) numbers { return make(numbers, n/64+1) }

func (s numbers) has(num int64) bool { return s[num/64]>>(num%64)&1 == 1 }

// add reports whether num was not in the set before.
func (s numbers) add(num int64) bool {
	fresh := !s.has(num)
	s[num/64] |= 1 << (num % 64)
	return fresh
}

// descend visits every path from the root, directories before what is in them.
// Names for DOS are no paths of their own. visit returns the entries of a
// directory, nil to go no deeper.
func (f *filesystem) descend(ctx context.Context, visit func(n *file, path string) ([]entry, error)) error {
	d := descent{f: f, ctx: ctx, dirs: newNumbers(f.records()), visit: visit}
	return d.file(reference(fileRoot), "/", 0)
}

type descent struct {
	f     *filesystem
	ctx   context.Context
	dirs  numbers
	visit func(n *file, path string) ([]entry, error)
}

func (d descent) file(ref reference, path string, depth int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth || len(path) > maxPath {
		return fmt.Errorf("directories nest deeper than %d, or paths are longer than %d bytes", maxDepth, maxPath)
	}
	r, err := d.f.referred(ref)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if r.base != 0 {
		return fmt.Errorf("reading %s: MFT record %d extends another", path, r.num)
	}
	if r.flags&flagDir != 0 && !d.dirs.add(r.num) {
		return fmt.Errorf("reading %s: directory %d has two parents", path, r.num)
	}
	n, err := d.f.collect(r)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	entries, err := d.visit(n, path)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	if path == "/" {
		path = ""
	}
	for _, e := range entries {
		if e.short || e.ref.num() == fileRoot {
			continue // the root lists itself
		}
		if err := d.file(e.ref, path+"/"+e.name, depth+1); err != nil {
			return err
		}
	}
	return nil
}
