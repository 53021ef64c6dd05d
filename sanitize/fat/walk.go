package fat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// maxDepth bounds how deep directories nest. Windows ends at 260 characters
// of path.
const maxDepth = 256

// Walk reads the live tree. FAT knows no owners; modes are those that Linux
// shows for a mount with default options.
func (v *volume) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	err := fn(sanitize.File{Path: "/", Mode: fs.ModeDir | 0o755, ModTime: time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	return v.tree(ctx, v.newMarks(), nil, fn)
}

// tree visits all directories. It calls piece, unless nil, with the regions
// of their and their files' clusters, and fn, unless nil, with the files.
func (v *volume) tree(ctx context.Context, seen marks, piece func(sanitize.Region), fn func(sanitize.File) error) error {
	runs := []disk.Extent{{Off: v.root, Len: v.rootLen}}
	if v.bits == 32 {
		var err error
		if runs, err = v.chain(ctx, v.first, seen); err != nil {
			return fmt.Errorf("reading the root directory: %w", err)
		}
	}
	t := walker{v, seen, piece, fn}
	return t.dir(ctx, "", runs, 0)
}

type walker struct {
	*volume
	seen  marks
	piece func(sanitize.Region)
	fn    func(sanitize.File) error
}

func (t walker) dir(ctx context.Context, path string, runs []disk.Extent, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("directories nest deeper than %d", maxDepth)
	}
	entries, err := t.directory(ctx, "directory "+path+"/", runs, t.piece)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for _, e := range entries {
		if err := t.entry(ctx, path+"/"+e.name, e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t walker) entry(ctx context.Context, path string, e entry, depth int) error {
	var runs []disk.Extent
	if e.first != 0 {
		var err error
		if runs, err = t.chain(ctx, e.first, t.seen); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	f := sanitize.File{Path: path, Mode: 0o755, ModTime: e.mod}
	if e.ro {
		f.Mode = 0o555
	}
	if e.dir {
		f.Mode |= fs.ModeDir
		if err := t.visit(f); err != nil {
			return err
		}
		return t.dir(ctx, path, runs, depth+1)
	}
	head, tail, whole := split(runs, e.size)
	if !whole {
		return fmt.Errorf("reading %s: its chain is shorter than its %d bytes", path, e.size)
	}
	if t.piece != nil {
		for _, x := range head {
			t.piece(sanitize.Region{Extent: x, Class: sanitize.Live, Owner: path})
		}
		for _, x := range tail {
			t.piece(sanitize.Region{Extent: x, Class: sanitize.Slack, Owner: path})
		}
	}
	f.Size = e.size
	f.Open = func() (sanitize.Content, error) { return newContent(t.r, head, e.size), nil }
	return t.visit(f)
}

func (t walker) visit(f sanitize.File) error {
	if t.fn == nil {
		return nil
	}
	return t.fn(f)
}

// content reads a file through its extents.
type content struct {
	r      disk.Reader
	runs   []disk.Extent
	starts []int64 // where each run begins in the file
	size   int64
}

func newContent(r disk.Reader, runs []disk.Extent, size int64) *content {
	c := &content{r: r, runs: runs, size: size}
	var at int64
	for _, e := range runs {
		c.starts = append(c.starts, at)
		at += e.Len
	}
	return c
}

// ReadAt follows io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
		in := off - c.starts[i]
		n := min(int64(len(p)-done), c.runs[i].Len-in)
		if err := sanitize.ReadFull(c.r, p[done:done+int(n)], c.runs[i].Off+in); err != nil {
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
