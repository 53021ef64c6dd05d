package diff

import (
	"context"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// FileDiff is in which files two trees differ.
type FileDiff struct {
	Added   int64 `json:"added"`
	Removed int64 `json:"removed"`
	Changed int64 `json:"changed"`
	Renamed int64 `json:"renamed"`
	// Compared is how many paths both trees have.
	Compared int64 `json:"compared"`
	// List are the changes in the order of a walk. Unlisted is how many were
	// left out; among these renamed files count as removed and added.
	List     []FileChange `json:"list,omitempty"`
	Unlisted int64        `json:"unlisted,omitempty"`
}

func (d *FileDiff) none() bool { return d.Added+d.Removed+d.Changed+d.Renamed == 0 }

// FileChange is what became of a file.
type FileChange struct {
	Path   string `json:"path"`
	Change Change `json:"change"`
	// From is the former path of a renamed file.
	From string `json:"from,omitempty"`
	// What differs of a changed file: "type", "content", "target", "mode",
	// "owner", "mtime", "xattrs".
	What []string `json:"what,omitempty"`
	// A and B are the file in the first and in the second image.
	A *FileState `json:"a,omitempty"`
	B *FileState `json:"b,omitempty"`
}

// FileState is what is told of a file.
type FileState struct {
	Mode    string    `json:"mode"` // as ls(1) shows it
	UID     uint32    `json:"uid"`
	GID     uint32    `json:"gid"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	Target  string    `json:"target,omitempty"` // of a symbolic link
	// SHA256 is that of the content, where it differs. It is left out for
	// files with a gigabyte of holes or more.
	SHA256 string `json:"sha256,omitempty"`
}

// state describes a file; nil for none.
func state(f *sanitize.File) *FileState {
	if f == nil {
		return nil
	}
	s := &FileState{Mode: f.Mode.String(), UID: f.UID, GID: f.GID, ModTime: f.ModTime.UTC(), Target: f.Target}
	if f.Mode.IsRegular() {
		s.Size = f.Size
	}
	return s
}

// unpaired is a file that one side alone has. at is its place in the list.
type unpaired struct {
	at   int
	side int
	file *sanitize.File
}

// add counts a pair, and lists its change if there is room.
func (t *tree) add(p pair, change *FileChange) {
	if p.file[0] != nil && p.file[1] != nil {
		t.found.Compared++
	}
	if change == nil {
		return
	}
	switch change.Change {
	case Added:
		t.found.Added++
	case Removed:
		t.found.Removed++
	case Changed:
		t.found.Changed++
	}
	if len(t.found.List) >= t.Limit {
		t.found.Unlisted++
		return
	}
	if change.Change != Changed {
		side := 0
		if change.Change == Added {
			side = 1
		}
		if f := p.file[side]; f.Mode.Type() == 0 && f.Size > 0 {
			t.unpaired = append(t.unpaired, unpaired{len(t.found.List), side, f})
		}
	}
	t.found.List = append(t.found.List, *change)
}

// finish finds renamed files, and drops the list when only counts are wanted.
func (t *tree) finish(ctx context.Context) error {
	if err := t.pairRenamed(ctx); err != nil {
		return err
	}
	if t.Stat {
		t.found.List, t.found.Unlisted = nil, 0
	}
	return nil
}

// pairRenamed turns a removed and an added file of the same content into a
// renamed one. Only files whose size is on both sides are read.
func (t *tree) pairRenamed(ctx context.Context) error {
	var sizes [2]map[int64]bool
	for side := range sizes {
		sizes[side] = map[int64]bool{}
		for _, u := range t.unpaired {
			if u.side == side {
				sizes[side][u.file.Size] = true
			}
		}
	}
	c := newContents(t.Options)
	removed := map[string][]int{} // by digest
	gone := map[int]bool{}
	for side := range sizes {
		for _, u := range t.unpaired {
			if u.side != side || !sizes[1-side][u.file.Size] {
				continue
			}
			sum, err := c.digest(ctx, *u.file)
			if err != nil {
				return err
			}
			row := &t.found.List[u.at]
			if side == 0 {
				row.A.SHA256 = sum
				removed[sum] = append(removed[sum], u.at)
				continue
			}
			row.B.SHA256 = sum
			if same := removed[sum]; sum != "" && len(same) > 0 {
				from := t.found.List[same[0]]
				removed[sum], gone[same[0]] = same[1:], true
				row.Change, row.From, row.A = Renamed, from.Path, from.A
				row.What = t.attributes(row.A, row.B)
			}
		}
	}
	t.drop(gone)
	return nil
}

// drop takes the removed halves of renamed files out of the list.
func (t *tree) drop(gone map[int]bool) {
	kept := t.found.List[:0]
	for i, row := range t.found.List {
		if !gone[i] {
			kept = append(kept, row)
		}
	}
	t.found.List = kept
	n := int64(len(gone))
	t.found.Added, t.found.Removed, t.found.Renamed = t.found.Added-n, t.found.Removed-n, n
}

// attributes compares what is told of two files beside their content.
func (o Options) attributes(a, b *FileState) []string {
	var what []string
	differ := func(attribute Attribute, differs bool) {
		if differs && !o.ignores(attribute) {
			what = append(what, string(attribute))
		}
	}
	differ(Mode, a.Mode != b.Mode)
	differ(Owner, a.UID != b.UID || a.GID != b.GID)
	differ(Mtime, !a.ModTime.Equal(b.ModTime))
	return what
}

// kindOf is the type of a file, as far as it makes another file.
func kindOf(f *sanitize.File) fs.FileMode { return f.Mode.Type() }
