package lvm

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Walk reads the live trees of all logical volumes, each in a folder of its
// name. The metadata shows as a file, and so does what is kept of a volume
// whose files cannot be told apart.
func (p *physical) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	if err := fn(folder("/")); err != nil {
		return err
	}
	var text []disk.Reader
	for _, e := range p.texts {
		text = append(text, disk.Section(p.r, e.Off, e.Len))
	}
	if err := fn(file("/.metadata", disk.Concat(text...))); err != nil {
		return err
	}
	byName := slices.SortedFunc(slices.Values(p.volumes), func(a, b volume) int { return strings.Compare(a.name, b.name) })
	for _, v := range byName {
		if v.fs == nil {
			continue // its bytes are unknown, and counted as they are
		}
		if err := v.walk(ctx, fn); err != nil {
			return err
		}
	}
	return nil
}

func (v *volume) walk(ctx context.Context, fn func(sanitize.File) error) error {
	name := "/" + v.name
	if w, ok := v.fs.(sanitize.Walker); ok {
		return w.Walk(ctx, func(f sanitize.File) error {
			if f.Path == "/" {
				f.Path = ""
			}
			f.Path, f.Open = name+f.Path, v.place(f.Open)
			return fn(f)
		})
	}
	var kept []disk.Reader
	err := v.fs.Regions(ctx, func(g sanitize.Region) error {
		if !g.Class.Dead() {
			kept = append(kept, disk.Section(v.reader, g.Off, g.Len))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return fn(file(name, disk.Concat(kept...)))
}

func folder(path string) sanitize.File {
	return sanitize.File{Path: path, Mode: fs.ModeDir | 0o755, ModTime: time.Unix(0, 0).UTC()}
}

func file(path string, r disk.Reader) sanitize.File {
	return sanitize.File{Path: path, Mode: 0o644, Size: r.Size(), ModTime: time.Unix(0, 0).UTC(),
		Open: func() (sanitize.Content, error) { return r, nil }}
}

// Unit implements [sanitize.Unit].
func (p *physical) Unit() (size, align int64) {
	size, align = sector, sector
	straddled := false
	for _, v := range p.volumes {
		if u, ok := v.fs.(sanitize.Unit); ok {
			s, a := u.Unit()
			size, straddled = max(size, s), straddled || a < s
		}
	}
	if !straddled {
		align = size
	}
	return size, align
}

// Reseal implements [sanitize.Resealer].
func (p *physical) Reseal(ctx context.Context, w disk.Writer) error {
	for _, v := range p.volumes {
		if r, ok := v.fs.(sanitize.Resealer); ok {
			if err := r.Reseal(ctx, v.writer(w)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writer is the volume on w.
func (v *volume) writer(w disk.Writer) disk.Writer {
	m := &mapped{}
	var parts []disk.Reader
	for _, e := range v.runs {
		s := disk.SectionWriter(w, e.Off, e.Len)
		m.parts = append(m.parts, s)
		parts = append(parts, s)
	}
	m.Reader = disk.Concat(parts...)
	return m
}

// mapped is a disk that is written through to its parts.
type mapped struct {
	disk.Reader
	parts []disk.Writer
}

// each calls fn with the piece of every part that lies in [off, off+n).
func (m *mapped) each(off, n int64, fn func(w disk.Writer, in, from, to int64) error) error {
	start := int64(0)
	for _, w := range m.parts {
		from, to := max(off, start), min(off+n, start+w.Size())
		if from < to {
			if err := fn(w, from-start, from-off, to-off); err != nil {
				return err
			}
		}
		start += w.Size()
	}
	return nil
}

func (m *mapped) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	err := m.each(off, int64(len(p)), func(w disk.Writer, in, from, to int64) error {
		n, err := w.WriteAt(p[from:to], in)
		done += n
		return err
	})
	return done, err
}

func (m *mapped) Punch(off, n int64) error {
	return m.each(off, n, func(w disk.Writer, in, from, to int64) error { return w.Punch(in, to-from) })
}
