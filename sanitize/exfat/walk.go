package exfat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Bounds on the tree. Windows ends at 260 characters of path.
const (
	maxDepth = 256
	maxOwner = 1024 // bytes of a path that the ledger keeps
)

// openRoot finds the bitmap and the label.
func (v *volume) openRoot(ctx context.Context) error {
	runs, err := v.chain(ctx, v.root, nil)
	if err != nil {
		return err
	}
	l, err := v.directory(ctx, "directory /", runs, nil)
	if err != nil {
		return err
	}
	if l.bitmap == nil {
		return errors.New("it has no allocation bitmap")
	}
	if l.bitmap.size < (v.clusters+7)/8 {
		return fmt.Errorf("a bitmap of %d bytes for %d clusters", l.bitmap.size, v.clusters)
	}
	v.bitmap, v.label = *l.bitmap, l.label
	return nil
}

// Walk reads the live tree. exFAT knows no owners; modes are those that Linux
// shows for a mount with default options.
func (v *volume) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	t := &tree{volume: v, chained: numbers{}, fn: fn}
	return t.walk(ctx)
}

// tree visits all directories. It calls piece with the regions of their and
// their files' clusters, fn with the files, and entries with their sets; each
// may be nil.
type tree struct {
	*volume
	chained numbers // clusters whose entry in the table counts
	owned   int64   // bytes in clusters that have an owner
	piece   func(sanitize.Region)
	fn      func(sanitize.File) error
	entries func(*set) error
}

func (t *tree) walk(ctx context.Context) error {
	root := sanitize.File{Path: "/", Mode: fs.ModeDir | 0o755, ModTime: time.Unix(0, 0).UTC()}
	if err := t.visit(root); err != nil {
		return err
	}
	runs, err := t.chain(ctx, t.root, t.chained)
	if err != nil {
		return fmt.Errorf("reading the root directory: %w", err)
	}
	l, err := t.dir(ctx, "", "directory /", runs, 0)
	if err != nil {
		return err
	}
	if l.bitmap == nil || l.upcase == nil {
		return errors.New("the root directory has no bitmap or no up-case table")
	}
	if err := t.content(ctx, *l.bitmap, sanitize.Metadata, "allocation bitmap", nil); err != nil {
		return err
	}
	return t.content(ctx, *l.upcase, sanitize.Metadata, "up-case table", nil)
}

// dir visits what is in a directory.
func (t *tree) dir(ctx context.Context, path, owner string, runs []disk.Extent, depth int) (*listing, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	if err := t.claim(runs); err != nil {
		return nil, fmt.Errorf("reading %s/: %w", path, err)
	}
	l, err := t.directory(ctx, owner, runs, t.piece)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(l.sets, func(a, b *set) int { return strings.Compare(a.name, b.name) })
	for _, s := range l.sets {
		if err := t.set(ctx, path+"/"+s.name, s, depth); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// claim counts clusters. More than there are have two owners, and may be read
// again and again.
func (t *tree) claim(runs []disk.Extent) error {
	for _, e := range runs {
		t.owned += e.Len
	}
	if t.owned > t.clusters*t.cluster {
		return errors.New("clusters have two owners")
	}
	return nil
}

// set visits a file or a directory.
func (t *tree) set(ctx context.Context, path string, s *set, depth int) error {
	if t.entries != nil {
		if err := t.entries(s); err != nil {
			return err
		}
	}
	owner := path
	if len(owner) > maxOwner {
		owner = fmt.Sprintf("an entry at byte %d", s.slots[0].off)
	}
	for _, a := range s.vendor {
		if err := t.content(ctx, a, sanitize.Metadata, "vendor data of "+owner, nil); err != nil {
			return err
		}
	}
	f := sanitize.File{Path: path, Mode: 0o755, ModTime: s.modified(), Xattrs: s.xattrs()}
	if s.attributes()&attrReadOnly != 0 {
		f.Mode = 0o555
	}
	if !s.isDir() {
		return t.content(ctx, s.allocation, sanitize.Live, owner, &f)
	}
	f.Mode |= fs.ModeDir
	if err := t.visit(f); err != nil {
		return err
	}
	m, err := t.resolve(ctx, s.allocation, t.chained)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	_, err = t.dir(ctx, path, "directory "+owner, m.runs, depth+1)
	return err
}

// content accounts for the clusters of a, and visits f, unless nil, with them
// as its content.
func (t *tree) content(ctx context.Context, a allocation, c sanitize.Class, owner string, f *sanitize.File) error {
	m, err := t.resolve(ctx, a, t.chained)
	if err == nil {
		err = t.claim(m.runs)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", owner, err)
	}
	if t.piece != nil {
		head, tail := m.split(a.valid)
		for _, e := range head {
			t.piece(sanitize.Region{Extent: e, Class: c, Owner: owner})
		}
		for _, e := range tail {
			t.piece(sanitize.Region{Extent: e, Class: sanitize.Slack, Owner: owner})
		}
	}
	if f == nil {
		return nil
	}
	f.Size = a.size
	f.Open = func() (sanitize.Content, error) { return newContent(t.r, m), nil }
	return t.visit(*f)
}

func (t *tree) visit(f sanitize.File) error {
	if t.fn == nil {
		return nil
	}
	return t.fn(f)
}

// xattrs returns what the entry says about the file beyond what Unix knows.
func (s *set) xattrs() map[string][]byte {
	e := s.slots[0].raw[:]
	return map[string][]byte{
		"system.exfat_attrib": bytes.Clone(e[offAttributes : offAttributes+2]),
		"system.exfat_times":  bytes.Clone(e[offCreated:offTimesEnd]),
	}
}
