package squashfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/sanitize"
)

const (
	// maxDepth bounds how deep directories nest.
	maxDepth = 4096
	// dirExtra is what the size of a directory counts beside its entries: for
	// "." and "..", which are not stored.
	dirExtra = 3
	// maxRow is how many entries follow a header, FORMAT SQUASHFS_DIR_COUNT.
	maxRow = 256
)

// Walk reads the live tree.
func (f readable) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	room, err := f.dirRoom(ctx)
	if err != nil {
		return err
	}
	d := &descent{f, ctx, map[reference]struct{}{}, room, fn}
	return d.inode(f.root, "/", 0)
}

// dirRoom is how many bytes of entries there can be: no two directories share
// some, so that this bounds a walk.
func (f readable) dirRoom(ctx context.Context) (int64, error) {
	end := f.used
	for _, t := range f.tables {
		if t.off > f.dirs {
			end = min(end, t.off)
		}
	}
	room := int64(0)
	for at := f.dirs; at+2 <= end; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b, err := f.read(at, 2)
		if err != nil {
			return 0, err
		}
		at += 2 + int64(binary.LittleEndian.Uint16(b)&^metadataPlain)
		room += metadataLen
	}
	return room, nil
}

// descent visits every path from the root, directories before what is in them.
type descent struct {
	f    readable
	ctx  context.Context
	dirs map[reference]struct{}
	room int64 // bytes of entries that are left
	fn   func(sanitize.File) error
}

func (d *descent) inode(ref reference, path string, depth int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	n, err := d.f.inode(ref)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	file := n.file(path)
	if file.Xattrs, err = d.f.attributes(n.xattrs); err != nil {
		return fmt.Errorf("reading the attributes of %s: %w", path, err)
	}
	if n.kind == typeFile {
		file.Open = func() (sanitize.Content, error) { return d.f.content(ref) }
	}
	if err := d.fn(file); err != nil {
		return err
	}
	if n.kind != typeDir {
		return nil
	}
	if _, ok := d.dirs[ref]; ok {
		return fmt.Errorf("reading %s: the directory has two parents", path)
	}
	d.dirs[ref] = struct{}{}
	entries, err := d.entries(n)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if path == "/" {
		path = ""
	}
	for _, e := range entries {
		if err := d.inode(e.inode, path+"/"+e.name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

type dirent struct {
	inode reference
	name  string
}

// entries reads a directory: rows of entries whose inodes lie in one block,
// each behind a header (FORMAT struct squashfs_dir_header).
func (d *descent) entries(n *inode) ([]dirent, error) {
	left := n.size - dirExtra
	if left <= 0 {
		return nil, nil
	}
	if d.room -= left; d.room < 0 {
		return nil, fmt.Errorf("a directory of %d bytes is more than there is", left)
	}
	c, err := d.f.seek(d.f.dirs, d.f.used, n.entries)
	if err != nil {
		return nil, err
	}
	var all []dirent
	le := binary.LittleEndian
	for left > 0 {
		head, err := c.take(12)
		if err != nil {
			return nil, err
		}
		left -= 12
		count := int64(le.Uint32(head)) + 1
		if count > maxRow {
			return nil, fmt.Errorf("a row of %d entries", count)
		}
		for range count {
			b, err := c.take(8)
			if err != nil {
				return nil, err
			}
			name, err := c.take(int(le.Uint16(b[6:])) + 1)
			if err != nil {
				return nil, err
			}
			left -= 8 + int64(len(name))
			if s := string(name); left < 0 || len(name) > 256 || bytes.ContainsAny(name, "/\x00") || s == "." || s == ".." {
				return nil, fmt.Errorf("the name %.40q", s)
			}
			all = append(all, dirent{place(le.Uint32(head[4:]), le.Uint16(b)), string(name)})
		}
	}
	slices.SortStableFunc(all, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
