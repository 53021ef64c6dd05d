package ntfs

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// account collects what owns bytes.
type account struct {
	f      *filesystem
	ctx    context.Context
	pieces []sanitize.Region
	done   numbers // base records that are accounted for
	owned  int64   // clusters that have an owner
}

func (a *account) bytes(off, n int64, c sanitize.Class, owner string) {
	if n <= 0 {
		return
	}
	if k := len(a.pieces) - 1; k >= 0 {
		if p := &a.pieces[k]; p.End() == off && p.Class == c && p.Owner == owner {
			p.Len += n
			return
		}
	}
	a.pieces = append(a.pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
}

// mark is an extent of a stream that is not of the class of the rest.
type mark struct {
	disk.Extent
	class sanitize.Class
}

// stream accounts for the clusters of s: of the classes of the marks, which
// ascend, and of class c elsewhere.
func (a *account) stream(s *stream, marks []mark, c sanitize.Class, owner string) error {
	for _, r := range s.runs {
		if r.lcn == hole {
			continue
		}
		off, end := r.vcn*s.cluster, r.end()*s.cluster
		delta := (r.lcn - r.vcn) * s.cluster
		for off < end {
			if len(marks) > 0 && marks[0].End() <= off {
				marks = marks[1:]
				continue
			}
			next, class := end, c
			if len(marks) > 0 {
				if next = min(end, marks[0].Off); marks[0].Off <= off {
					next, class = min(end, marks[0].End()), marks[0].class
				}
			}
			a.bytes(off+delta, next-off, class, owner)
			off = next
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// tail appends what is dead behind the first n bytes of s.
func (s *stream) tail(marks []mark, n int64) []mark {
	if end := s.allocated(); n < end {
		marks = append(marks, mark{disk.Extent{Off: n, Len: end - n}, sanitize.Slack})
	}
	return marks
}

// tree accounts for the clusters of every file that a path leads to, under its
// first path.
func (a *account) tree() error {
	return a.f.descend(a.ctx, func(n *file, path string) ([]entry, error) {
		if !a.done.add(n.num) {
			return nil, nil
		}
		if len(path) > maxOwner {
			path = unnamed(n.num)
		}
		return a.file(n, path)
	})
}

// rest accounts for the files that no path leads to.
func (a *account) rest() error {
	allocated := a.f.mftBits.bitmap()
	b := make([]byte, a.f.recordSize)
	for num := range a.f.records() {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := a.f.mft.read(b, num*a.f.recordSize); err != nil {
			return err
		}
		if !inUse(b) {
			continue
		}
		if set, err := allocated.Get(num); err != nil || !set {
			return errorOr(err, "MFT record %d is in use and free in the bitmap", num)
		}
		if a.done.has(num) {
			continue
		}
		n, err := a.f.record(num)
		if err != nil {
			return err
		}
		if n.base != 0 {
			continue // its base record has what it holds
		}
		whole, err := a.f.collect(n)
		if err == nil {
			_, err = a.file(whole, unnamed(num))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxOwner bounds the paths that the ledger keeps, in bytes.
const maxOwner = 1024

// unnamed is the owner of what has no path to show.
func unnamed(num int64) string { return fmt.Sprintf("MFT record %d", num) }

// errorOr returns err, or an error of its own.
func errorOr(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fmt.Errorf(format, args...)
}

// file accounts for the clusters of n and returns the entries of a directory.
func (a *account) file(n *file, path string) ([]entry, error) {
	for _, s := range n.streams {
		// Ahead of any work on the clusters: a mapping may lead to the same
		// ones a thousand times.
		clusters, _ := s.mapped()
		if a.owned += clusters; a.owned > a.f.clusters {
			return nil, fmt.Errorf("accounting for %s: clusters have two owners", path)
		}
	}
	var entries []entry
	for _, s := range n.streams {
		var err error
		switch {
		case s.kind == attrIndexRoot:
			var e []entry
			if e, err = a.index(n, s.name, "directory "+path); s.name == nameIndex {
				entries = e
			}
		case s.resident() || s.kind == attrIndexAlloc && n.stream(attrIndexRoot, s.name) != nil:
		case s.kind == attrData:
			err = a.data(n.num, s, streamPath(path, s.name))
		default:
			err = a.stream(s, s.tail(nil, s.limit()), sanitize.Metadata, "attributes of "+path)
		}
		if err != nil {
			return nil, fmt.Errorf("accounting for %s: %w", path, err)
		}
	}
	return entries, nil
}

// streamPath is how Windows calls a stream.
func streamPath(path, stream string) string {
	if stream == "" {
		return path
	}
	return path + ":" + stream
}

// data accounts for a data stream.
func (a *account) data(num int64, s *stream, owner string) error {
	class := sanitize.Live
	switch {
	case num == fileMFT || num == fileMirror:
		marks, err := a.records(s, num == fileMFT)
		if err != nil {
			return err
		}
		return a.stream(s, marks, sanitize.Metadata, owner)
	case num == fileLog:
		marks, err := a.log(s)
		if err != nil {
			return err
		}
		return a.stream(s, marks, sanitize.Metadata, owner)
	case num == fileBad:
		return a.stream(s, nil, sanitize.Unknown, "bad clusters")
	case num == fileBoot:
		class = sanitize.BootCode
	case num < fileFirstAny:
		class = sanitize.Metadata
	case s.flags&flagEncrypted != 0:
		return a.stream(s, nil, class, owner)
	}
	if s.unit > 0 {
		marks, err := a.units(s)
		if err != nil {
			return err
		}
		return a.stream(s, marks, class, owner)
	}
	return a.stream(s, s.tail(nil, s.limit()), class, owner)
}
