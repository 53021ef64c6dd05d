package btrfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// maxDepth bounds how deep directories nest.
const maxDepth = 4096

// maxTarget bounds the target of a symbolic link, in bytes: it is stored in a
// leaf.
const maxTarget = 64 << 10

// Walk reads the live tree from the root of the top-level subvolume. Other
// subvolumes are met where their names are.
func (f *filesystem) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	d := descent{s: &scanner{f: f}, ctx: ctx, trees: map[uint64]root{}, mounts: map[mount]struct{}{}, dirs: map[place]struct{}{}, fn: fn}
	err := d.s.scan(ctx, f.tree, key{}, lastKey, d.subvolume)
	if err != nil {
		return fmt.Errorf("reading the tree of trees: %w", err)
	}
	return d.inode(place{treeFiles, firstFile}, "/", 0)
}

// place is an inode of a subvolume.
type place struct{ tree, num uint64 }

// mount is where a subvolume has its name. A snapshot holds a copy of the
// entry of a subvolume within, which the kernel shows as an empty directory.
type mount struct {
	dir  place
	name string
	tree uint64
}

// subvolume notes the root of a subvolume, or its name: BTRFS section "Root
// references".
func (d descent) subvolume(it item) error {
	const header = 18
	switch {
	case it.kind == kindRoot && (it.object == treeFiles || it.object >= firstFile):
		r, err := parseRoot(it)
		d.trees[it.object] = r
		return err
	case it.kind == kindRootRef && len(it.data) >= header:
		dir := place{it.object, binary.LittleEndian.Uint64(it.data)}
		d.mounts[mount{dir, string(it.data[header:]), it.offset}] = struct{}{}
	}
	return nil
}

type descent struct {
	s      *scanner
	ctx    context.Context
	trees  map[uint64]root
	mounts map[mount]struct{}
	dirs   map[place]struct{}
	fn     func(sanitize.File) error
}

// inode hands on a file and, of a directory, what is in it.
func (d descent) inode(p place, path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	tree, ok := d.trees[p.tree]
	if !ok {
		return fmt.Errorf("reading %s: there is no subvolume %d", path, p.tree)
	}
	n, err := d.s.inode(d.ctx, tree, p.num)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	file, err := n.file(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := d.fn(file); err != nil || n.kind() != modeDir {
		return err
	}
	if _, ok := d.dirs[p]; ok {
		return fmt.Errorf("reading %s: directory %d has two parents", path, p.num)
	}
	d.dirs[p] = struct{}{}
	if path == "/" {
		path = ""
	}
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		e := n.entries[name]
		if _, ok := d.mounts[mount{p, name, e.tree}]; e.tree != 0 && !ok {
			if err := d.fn(sanitize.File{Path: path + "/" + name, Mode: fs.ModeDir | 0o555}); err != nil {
				return err
			}
			continue
		}
		if e.tree == 0 {
			e.tree = p.tree
		}
		if err := d.inode(e, path+"/"+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// Kinds in an inode's mode.
const (
	modeMask    = 0xf000
	modeFIFO    = 0x1000
	modeChar    = 0x2000
	modeDir     = 0x4000
	modeBlock   = 0x6000
	modeRegular = 0x8000
	modeSymlink = 0xa000
	modeSocket  = 0xc000
)

// inode is what the items of one inode say.
type inode struct {
	content content
	raw     []byte // the inode item
	xattrs  map[string][]byte
	entries map[string]place
}

func (n *inode) mode() uint32 { return binary.LittleEndian.Uint32(n.raw[52:]) }
func (n *inode) kind() uint32 { return n.mode() & modeMask }

// inode reads the items of inode num.
func (s *scanner) inode(ctx context.Context, tree root, num uint64) (*inode, error) {
	n := &inode{xattrs: map[string][]byte{}, entries: map[string]place{}}
	n.content.f = s.f
	err := s.scan(ctx, tree, key{object: num}, key{num, math.MaxUint8, math.MaxUint64}, func(it item) error {
		switch it.kind {
		case kindInode:
			if len(it.data) < inodeItem {
				return fmt.Errorf("inode %d is cut off", num)
			}
			n.raw = it.data
			n.content.size = int64(binary.LittleEndian.Uint64(it.data[16:]))
		case kindXattr:
			return eachDirItem(it.data, func(name string, _ key, value []byte) error {
				n.xattrs[name] = value
				return nil
			})
		case kindDirIndex:
			return eachDirItem(it.data, func(name string, to key, _ []byte) error { return n.entry(name, to) })
		case kindExtentData:
			return n.content.add(it)
		}
		return nil
	})
	if err == nil && (n.raw == nil || n.content.size < 0) {
		err = fmt.Errorf("there is no inode %d", num)
	}
	return n, err
}

// entry adds an entry of a directory: an inode of the same subvolume, or the
// root of another.
func (n *inode) entry(name string, to key) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("an entry has the name %q", name)
	}
	p := place{num: to.object}
	if to.kind == kindRoot {
		p = place{tree: to.object, num: firstFile}
	}
	n.entries[name] = p
	return nil
}

// eachDirItem reads entries of directories, or attributes: BTRFS section
// "Directory items".
func eachDirItem(b []byte, fn func(name string, to key, value []byte) error) error {
	le := binary.LittleEndian
	for len(b) > 0 {
		if len(b) < dirItemHeader {
			return fmt.Errorf("an entry is cut off")
		}
		value, name := int(le.Uint16(b[25:])), int(le.Uint16(b[27:]))
		end := dirItemHeader + name + value
		if end > len(b) {
			return fmt.Errorf("an entry is cut off")
		}
		if err := fn(string(b[dirItemHeader:dirItemHeader+name]), parseKey(b), b[dirItemHeader+name:end]); err != nil {
			return err
		}
		b = b[end:]
	}
	return nil
}

// file describes the inode.
func (n *inode) file(path string) (sanitize.File, error) {
	le := binary.LittleEndian
	mode := fs.FileMode(n.mode() & 0o777)
	for _, b := range []struct {
		bit  uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if n.mode()&b.bit != 0 {
			mode |= b.mode
		}
	}
	f := sanitize.File{
		Path: path, Size: n.content.size, UID: le.Uint32(n.raw[44:]), GID: le.Uint32(n.raw[48:]), Xattrs: n.xattrs,
		ModTime: time.Unix(int64(le.Uint64(n.raw[136:])), int64(le.Uint32(n.raw[144:]))).UTC(),
	}
	switch n.kind() {
	case modeRegular:
		f.Open = func() (sanitize.Content, error) { return &n.content, nil }
	case modeDir:
		mode |= fs.ModeDir
	case modeSymlink:
		mode |= fs.ModeSymlink
		if n.content.size > maxTarget {
			return f, fmt.Errorf("a target of %d bytes", n.content.size)
		}
		b := make([]byte, n.content.size)
		if err := sanitize.ReadFull(&n.content, b, 0); err != nil {
			return f, err
		}
		f.Target = string(b)
	case modeFIFO:
		mode |= fs.ModeNamedPipe
	case modeSocket:
		mode |= fs.ModeSocket
	case modeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case modeBlock:
		mode |= fs.ModeDevice
	default:
		return f, fmt.Errorf("mode %#o", n.mode())
	}
	f.Mode = mode
	return f, nil
}
