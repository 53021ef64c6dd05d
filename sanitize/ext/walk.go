package ext

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
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
			c := content{f.contents, f.block, *m, n.size}
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
	return content{f.contents, f.block, m, n.size}, nil
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

// content reads a file through its map.
type content struct {
	r     disk.Reader
	block int64
	m     fileMap
	size  int64
}

// ReadAt follows io.ReaderAt; holes and unwritten extents read as zero.
func (c content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		n := min(int64(len(p)-done), c.size-off)
		part, i := p[done:], c.m.search(off/c.block)
		hole := true
		if i < len(c.m.runs) {
			r := c.m.runs[i]
			if start := r.logical * c.block; off < start {
				n = min(n, start-off)
			} else {
				n = min(n, (r.logical+r.count)*c.block-off)
				hole = r.unwritten
			}
		}
		if hole {
			clear(part[:n])
		} else if err := sanitize.ReadFull(c.r, part[:n], c.m.runs[i].phys*c.block+off-c.m.runs[i].logical*c.block); err != nil {
			return done, err
		}
		done += int(n)
		off += n
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}
