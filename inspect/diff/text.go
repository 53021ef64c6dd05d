package diff

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/inspect/internal/show"
)

// WriteText writes the report for people to read.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "--- %s: %s, %s\n", show.Plain(r.A.Path), r.A.Format, show.Size(r.A.Size))
	fmt.Fprintf(&b, "+++ %s: %s, %s\n", show.Plain(r.B.Path), r.B.Format, show.Size(r.B.Size))
	writeFacts(&b, "container", r.Container)
	writeFacts(&b, "description", r.Description)
	for i := range r.Disks {
		r.Disks[i].write(&b)
	}
	if r.Same {
		fmt.Fprintln(&b, "\nthe same")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeFacts writes a table of facts below a title.
func writeFacts(b *bytes.Buffer, title string, facts []Fact) {
	if len(facts) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	t := show.NewTable(b)
	for _, f := range facts {
		t.Row(f.What, value(f.A)+" → "+value(f.B))
	}
	t.Flush()
}

func value(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (d *Disk) write(b *bytes.Buffer) {
	if d.same() {
		return
	}
	writeFacts(b, strings.TrimSpace("disk "+show.Plain(d.name())), d.Facts)
	for i := range d.Volumes {
		d.Volumes[i].write(b)
	}
	if d.Bytes != nil {
		d.Bytes.write(b)
	}
}

// name is what packages call the disk.
func (d *Disk) name() string {
	if d.A == "" || d.B == "" {
		return d.A + d.B
	}
	return rename(d.A, d.B)
}

// rename shows what became of a value.
func rename(a, b string) string {
	if a == b {
		return a
	}
	return value(a) + " → " + value(b)
}

func (v *Volume) write(b *bytes.Buffer) {
	switch v.Change {
	case Added:
		fmt.Fprintf(b, "\n%s added\n", title(v.B))
		return
	case Removed:
		fmt.Fprintf(b, "\n%s removed\n", title(v.A))
		return
	}
	writeFacts(b, title(v.B), v.Facts)
	if len(v.Facts) == 0 {
		fmt.Fprintf(b, "\n%s\n", title(v.B))
	}
	if v.Unread != "" {
		fmt.Fprintf(b, "  %s\n", show.Plain(v.Unread))
	}
	if v.Packages != nil {
		v.Packages.write(b)
	}
	if v.Files != nil {
		v.Files.write(b)
	}
}

// about1 names a volume.
func title(v *inspect.Volume) string {
	text := "whole disk"
	if v.Index > 0 {
		text = "partition " + strconv.Itoa(v.Index)
	}
	if v.Name != "" {
		text += " " + v.Name
	}
	var more []string
	for _, word := range []string{v.Filesystem, v.TypeName} {
		if word != "" {
			more = append(more, word)
		}
	}
	return show.Plain(text + " (" + strings.Join(append(more, show.Size(v.Size)+" at "+show.Size(v.Offset)), ", ") + ")")
}

func (d *PackageDiff) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "  packages: %d added, %d removed, %d changed\n", d.Added, d.Removed, d.Changed)
	t := show.NewTable(b)
	for _, p := range d.List {
		t.Row("  "+sign(p.Change), p.Name, rename(p.A, p.B))
	}
	t.Flush()
	writeUnlisted(b, int64(d.Unlisted))
}

func (d *FileDiff) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "  files: %d added, %d removed, %d changed, %d renamed\n", d.Added, d.Removed, d.Changed, d.Renamed)
	t := show.NewTable(b)
	for _, f := range d.List {
		t.Row("  "+sign(f.Change), f.path(), f.details())
	}
	t.Flush()
	writeUnlisted(b, d.Unlisted)
}

func writeUnlisted(b *bytes.Buffer, n int64) {
	if n > 0 {
		fmt.Fprintf(b, "    and %d more\n", n)
	}
}

// sign shows a change in one letter.
func sign(c Change) string {
	return map[Change]string{Added: "+", Removed: "-", Changed: "~", Renamed: ">"}[c]
}

// path is the path, and where the file comes from.
func (f *FileChange) path() string {
	if f.From != "" {
		return f.From + " → " + f.Path
	}
	return f.Path
}

// details say what differs, as far as a line holds it.
func (f *FileChange) details() string {
	switch f.Change {
	case Added:
		return f.B.short()
	case Removed:
		return f.A.short()
	}
	var parts []string
	for _, what := range f.What {
		switch Attribute(what) {
		case "content":
			what = fmt.Sprintf("content (%s → %s)", show.Size(f.A.Size), show.Size(f.B.Size))
		case "target":
			what = fmt.Sprintf("target (%s → %s)", f.A.Target, f.B.Target)
		case Mode, "type":
			what = fmt.Sprintf("%s (%s → %s)", what, f.A.Mode, f.B.Mode)
		case Owner:
			what = fmt.Sprintf("owner (%d:%d → %d:%d)", f.A.UID, f.A.GID, f.B.UID, f.B.GID)
		}
		parts = append(parts, what)
	}
	return strings.Join(parts, ", ")
}

// short describes a file by its kind and size.
func (s *FileState) short() string {
	switch {
	case s.Target != "":
		return "→ " + s.Target
	case strings.HasPrefix(s.Mode, "-"):
		return show.Size(s.Size)
	}
	return s.Mode
}

// shownRows is how many rows the tables of bytes have.
const shownRows = 12

func (d *ByteDiff) write(b *bytes.Buffer) {
	if d.Differ == 0 {
		return
	}
	extents := "1 extent"
	if d.Extents > 1 {
		extents = fmt.Sprintf("%d extents", d.Extents)
	}
	fmt.Fprintf(b, "\nbytes: %d differ, in %s\n", d.Differ, extents)
	t := show.NewTable(b)
	for _, c := range d.Classes {
		t.Row(c.A.String()+" → "+c.B.String(), strconv.FormatInt(c.Bytes, 10))
	}
	t.Flush()
	if len(d.Owners) == 0 {
		return
	}
	fmt.Fprintln(b, "  whose they are:")
	t = show.NewTable(b)
	for _, o := range d.Owners[:min(len(d.Owners), shownRows)] {
		t.Row("  "+o.Class.String(), o.Owner, strconv.FormatInt(o.Bytes, 10))
	}
	t.Flush()
	writeUnlisted(b, d.UnlistedOwners+int64(max(len(d.Owners)-shownRows, 0)))
}
