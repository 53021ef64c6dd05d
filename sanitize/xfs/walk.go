package xfs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/mapped"
)

// maxDepth bounds how deep directories nest.
const maxDepth = 4096

// descend visits every path from the root, directories before what is in
// them. visit returns the entries of a directory, nil to go no deeper.
func (f *filesystem) descend(ctx context.Context, visit func(n *inode, path string) ([]dirent, error)) error {
	d := descent{f: f, ctx: ctx, dirs: map[uint64]struct{}{}, visit: visit}
	return d.inode(f.root, "/", 0)
}

type descent struct {
	f     *filesystem
	ctx   context.Context
	dirs  map[uint64]struct{}
	visit func(n *inode, path string) ([]dirent, error)
}

func (d descent) inode(num uint64, path string, depth int) error {
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
	if n.kind() == modeDir {
		if _, ok := d.dirs[num]; ok {
			return fmt.Errorf("reading %s: directory %d has two parents", path, num)
		}
		d.dirs[num] = struct{}{}
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

// Walk reads the live tree.
func (f *filesystem) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	return f.descend(ctx, func(n *inode, path string) ([]dirent, error) {
		m, err := f.mapping(ctx, n.data, nil)
		if err != nil {
			return nil, fmt.Errorf("mapping %s: %w", path, err)
		}
		file, err := f.describe(ctx, n, m, path)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if err := fn(file); err != nil || n.kind() != modeDir {
			return nil, err
		}
		var entries []dirent
		add := func(e dirent) error { entries = append(entries, e); return nil }
		err = f.directory(ctx, n, m, add, func(dirBlock) error { return nil })
		return entries, err
	})
}

func (f *filesystem) describe(ctx context.Context, n *inode, m fileMap, path string) (sanitize.File, error) {
	file, err := n.file(path)
	if err != nil {
		return file, err
	}
	if file.Xattrs, err = f.xattrs(ctx, n); err != nil {
		return file, err
	}
	switch n.kind() {
	case modeRegular:
		file.Open = func() (sanitize.Content, error) {
			return mapped.Content{Volume: f.r, Block: f.block, Runs: m.runs, Size: n.size}, nil
		}
	case modeSymlink:
		if n.data.format == forkLocal {
			file.Target = string(n.data.raw[:n.size])
			break
		}
		file.Target, _, err = f.target(ctx, n, m)
	}
	return file, err
}

// xattrs reads the attributes of n that Linux shows.
func (f *filesystem) xattrs(ctx context.Context, n *inode) (map[string][]byte, error) {
	m, err := f.mapping(ctx, n.attr, nil)
	if err != nil {
		return nil, err
	}
	attrs, _, err := f.attributes(ctx, n, m)
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	for _, a := range attrs {
		if name, ok := a.fullName(); ok {
			values[name] = a.value
		}
	}
	return values, nil
}
