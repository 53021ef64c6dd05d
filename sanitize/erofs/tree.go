package erofs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/sanitize"
)

// maxDepth bounds how deep directories nest.
const maxDepth = 4096

// maxDir bounds the size of a directory, in bytes: it is read whole.
const maxDir = 1 << 30

const direntLen = 12 // FORMAT struct erofs_dirent

type dirent struct {
	nid  uint64
	name string
}

// entries reads a directory.
func (f *filesystem) entries(ctx context.Context, n *inode) ([]dirent, error) {
	if n.size > min(maxDir, f.size) {
		return nil, fmt.Errorf("directory %d has %d bytes", n.nid, n.size)
	}
	c, err := f.content(ctx, n)
	if err != nil {
		return nil, err
	}
	var all []dirent
	buf := make([]byte, f.block)
	for off := int64(0); off < n.size; off += f.block {
		b := buf[:min(f.block, n.size-off)]
		if err := sanitize.ReadFull(c, b, off); err != nil {
			return nil, err
		}
		if all, err = appendEntries(all, b); err != nil {
			return nil, fmt.Errorf("reading directory %d at byte %d: %w", n.nid, off, err)
		}
	}
	slices.SortStableFunc(all, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// appendEntries parses a block: the entries first, then their names. The first
// entry's name begins where the entries end.
func appendEntries(all []dirent, b []byte) ([]dirent, error) {
	le := binary.LittleEndian
	if len(b) < direntLen {
		return nil, fmt.Errorf("a block of %d bytes", len(b))
	}
	names := int(le.Uint16(b[8:]))
	if names < direntLen || names > len(b) || names%direntLen != 0 {
		return nil, fmt.Errorf("names begin at byte %d", names)
	}
	for at := 0; at < names; at += direntLen {
		from, to := int(le.Uint16(b[at+8:])), len(b)
		if at+direntLen < names {
			to = int(le.Uint16(b[at+direntLen+8:]))
		}
		if from < names || to < from || to > len(b) {
			return nil, fmt.Errorf("a name lies at [%d, %d)", from, to)
		}
		name := b[from:to]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
			return nil, fmt.Errorf("the name %q", name)
		}
		if s := string(name); s != "." && s != ".." {
			all = append(all, dirent{le.Uint64(b[at:]), s})
		}
	}
	return all, nil
}

// descent visits every path from the root, directories before what is in them.
type descent struct {
	f     *filesystem
	ctx   context.Context
	dirs  map[uint64]struct{}
	visit func(n *inode, path string) error
}

func (f *filesystem) descend(ctx context.Context, visit func(n *inode, path string) error) error {
	d := descent{f, ctx, map[uint64]struct{}{}, visit}
	return d.inode(f.root, "/", 0)
}

func (d descent) inode(nid uint64, path string, depth int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	n, err := d.f.inode(nid)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := d.visit(n, path); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if n.kind() != modeDir {
		return nil
	}
	if _, ok := d.dirs[nid]; ok {
		return fmt.Errorf("reading %s: directory %d has two parents", path, nid)
	}
	d.dirs[nid] = struct{}{}
	entries, err := d.f.entries(d.ctx, n)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if path == "/" {
		path = ""
	}
	for _, e := range entries {
		if err := d.inode(e.nid, path+"/"+e.name, depth+1); err != nil {
			return err
		}
	}
	return nil
}
