package lint

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/output/members"
)

const (
	tarBlock  = 512
	tarRecord = 20 * tarBlock
	// octalLimit is the first size that eleven octal digits do not hold.
	octalLimit = 1 << 33
)

// archive examines an OVA as an archive (DSP0243 section 5.3).
func (l *linter) archive(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	names := []string{}
	t := tar.NewReader(f)
	for i := 0; ; i++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if i == members.Max {
			return fmt.Errorf("there are more than %d members", members.Max)
		}
		l.member(h)
		if h.Typeflag == tar.TypeReg {
			names = append(names, strings.TrimPrefix(path.Clean("/"+h.Name), "/"))
		}
	}
	l.order(names)
	return l.end(f, info.Size())
}

// member examines a header.
func (l *linter) member(h *tar.Header) {
	if h.Typeflag != tar.TypeReg {
		l.addFile("ova-member", h.Name, 0, "it is no plain file, but one of type %q", h.Typeflag)
		return
	}
	odd := func(c rune) bool { return c <= ' ' || c > '~' }
	if strings.ContainsFunc(h.Name, odd) || strings.Contains(h.Name, "/") {
		l.addFile("ova-name", h.Name, 0, "the name %q has blanks, folders, or letters beyond ASCII", h.Name)
	}
	switch {
	case h.Size >= octalLimit && h.Format == tar.FormatPAX:
		l.addFile("ova-large", h.Name, 0, "its size of %d bytes stands in a POSIX header", h.Size)
	case h.Format == tar.FormatPAX:
		l.addFile("ova-pax", h.Name, 0, "it comes with a POSIX header")
	}
}

// order examines which files there are, and in which order.
func (l *linter) order(names []string) {
	if len(names) > 0 && names[0] != l.pkg.Descriptor {
		l.addFile("ova-order", names[0], 0, "it comes before the descriptor %s", l.pkg.Descriptor)
	}
	stem := strings.TrimSuffix(l.pkg.Descriptor, path.Ext(l.pkg.Descriptor))
	l.referenced(names)
	for _, name := range names {
		ext := strings.ToLower(path.Ext(name))
		switch {
		case name == l.pkg.Descriptor:
		case ext == ".mf" || ext == ".cert":
			if strings.TrimSuffix(name, path.Ext(name)) != stem {
				l.addFile("ova-stem", name, 0, "its name does not begin with %s, as that of the descriptor", stem)
			}
		case !slices.ContainsFunc(l.root.child("References").all("File"), func(e *element) bool {
			href := e.attr("href")
			return href == name || strings.ReplaceAll(href, "%20", " ") == name
		}):
			l.addFile("ova-unreferenced", name, 0, "the descriptor does not refer to it")
		}
	}
}

// referenced examines whether the files come in the order of the references.
func (l *linter) referenced(names []string) {
	last := -1
	for _, e := range l.root.child("References").all("File") {
		href := e.attr("href")
		i := slices.IndexFunc(names, func(name string) bool { return name == href || name == strings.ReplaceAll(href, "%20", " ") })
		if i < 0 {
			continue // said of the reference
		}
		if i < last {
			l.add("ova-references", e, "%s lies before the file that is referred to before it", href)
			return
		}
		last = i
	}
}

// end examines what is behind the last member.
func (l *linter) end(f *os.File, size int64) error {
	tail := make([]byte, 2*tarBlock)
	if size < int64(len(tail)) {
		return nil
	}
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return err
	}
	if size%tarRecord != 0 || slices.ContainsFunc(tail, func(b byte) bool { return b != 0 }) {
		l.addFile("ova-end", path.Base(f.Name()), 0, "the archive of %d bytes is not ended as it should be", size)
	}
	return nil
}
