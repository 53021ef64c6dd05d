package ext

import (
	"bytes"
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/mapped"
)

// Bounds on what is read into memory whole.
const (
	maxTarget = 64 << 10 // of a symbolic link: one block at most
	maxValue  = 64 << 10 // of an attribute: XATTR_SIZE_MAX of Linux
)

// Walk reads the live tree. Encrypted files show their ciphertext.
func (f *filesystem) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	buf := make([]byte, f.block)
	return f.descend(ctx, func(n *inode, path string) ([]dirent, error) {
		file, err := f.describe(ctx, n, path, nil)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if err := fn(file); err != nil || n.kind() != modeDir {
			return nil, err
		}
		var entries []dirent
		add := func(e dirent) { entries = append(entries, e) }
		if n.has(flagInline) {
			return entries, f.inlineEntries(n, add)
		}
		m, err := f.mapping(ctx, n, nil)
		if err != nil {
			return nil, err
		}
		err = f.directory(ctx, n, m, buf, add, func(dirBlock) error { return nil })
		return entries, err
	})
}

// describe tells all of a file. Unless m is nil, it is the map of n.
func (f *filesystem) describe(ctx context.Context, n *inode, path string, m *fileMap) (sanitize.File, error) {
	file, err := n.file(path)
	if err != nil {
		return file, err
	}
	if file.Xattrs, err = f.xattrs(ctx, n); err != nil {
		return file, err
	}
	switch n.kind() {
	case modeRegular:
		file.Open = func() (sanitize.Content, error) { return f.content(ctx, n) }
		if m != nil && !n.has(flagInline) {
			c := mapped.Content{Volume: f.contents, Block: f.block, Runs: m.runs, Size: n.size}
			file.Open = func() (sanitize.Content, error) { return c, nil }
		}
	case modeSymlink:
		b, err := f.whole(ctx, n, maxTarget)
		if err != nil {
			return file, err
		}
		file.Target = string(b)
	}
	return file, nil
}

// content opens the content of n.
func (f *filesystem) content(ctx context.Context, n *inode) (sanitize.Content, error) {
	switch {
	case n.fastSymlink():
		return bytes.NewReader(n.iBlock()[:n.size]), nil
	case n.has(flagInline):
		b, err := n.inline()
		return bytes.NewReader(b), err
	}
	m, err := f.mapping(ctx, n, nil)
	if err != nil {
		return nil, err
	}
	return mapped.Content{Volume: f.contents, Block: f.block, Runs: m.runs, Size: n.size}, nil
}

// whole reads all of a small content.
func (f *filesystem) whole(ctx context.Context, n *inode, limit int64) ([]byte, error) {
	if n.size > limit {
		return nil, fmt.Errorf("inode %d has %d bytes where %d are the most", n.num, n.size, limit)
	}
	c, err := f.content(ctx, n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n.size)
	return b, sanitize.ReadFull(c, b, 0)
}

// xattrs reads the attributes of n, in the record, in a block, and in inodes
// of their own.
func (f *filesystem) xattrs(ctx context.Context, n *inode) (map[string][]byte, error) {
	area, _, err := n.xattrBody()
	if err != nil {
		return nil, err
	}
	attrs := area.attrs
	if n.acl != 0 {
		shared, _, err := f.xattrBlock(n.acl)
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, shared.attrs...)
	}
	if len(attrs) == 0 {
		return nil, nil
	}
	values := map[string][]byte{}
	for _, a := range attrs {
		if a.name == xattrInlineData {
			continue
		}
		values[a.name] = bytes.Clone(a.value)
		if a.num == 0 {
			continue
		}
		v, err := f.inode(a.num)
		if err != nil {
			return nil, err
		}
		if !v.has(flagEAInode) {
			return nil, fmt.Errorf("inode %d holds no attribute", a.num)
		}
		if values[a.name], err = f.whole(ctx, v, maxValue); err != nil {
			return nil, fmt.Errorf("reading attribute %s: %w", a.name, err)
		}
	}
	return values, nil
}
