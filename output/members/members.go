// Package members tells where the files in a tar archive lie, so that they are
// read in their place: a disk in an OVA is opened without unpacking it.
//
// Archives are foreign bytes: the number of members is bounded, what lies
// beyond the archive is an error, and members that are stored in pieces (the
// sparse forms of GNU tar) are refused, for they have no one place.
package members

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
)

// ErrSparse is returned for an archive with a file that is stored in pieces.
var ErrSparse = errors.New("stored as a sparse file, in pieces")

// Max is the most members that an archive may have.
const Max = 1 << 16

// Member is a regular file in an archive.
type Member struct {
	Name string // slash-separated, without "./" before it
	Off  int64  // of its content
	Size int64
}

// In returns the content of a member in its archive. When the archive is a
// disk, so is the content: holes are known.
func (m Member) In(archive io.ReaderAt) io.ReaderAt {
	if d, ok := archive.(disk.Reader); ok {
		return disk.Section(d, m.Off, m.Size)
	}
	return io.NewSectionReader(archive, m.Off, m.Size)
}

// magicAt is where a header says "ustar": POSIX and GNU tar alike.
const magicAt = 257

// Is reports whether the first block of r looks like the header of an archive.
func Is(r io.ReaderAt) bool {
	p := make([]byte, 5)
	n, _ := r.ReadAt(p, magicAt)
	return string(p[:n]) == "ustar"
}

// Index lists the regular files of the archive in the n bytes of r, in their
// order. Only headers are read.
func Index(r io.ReaderAt, n int64) ([]Member, error) {
	list, _, err := index(r, n)
	return list, err
}

// index lists the regular files, and the links among them.
func index(r io.ReaderAt, n int64) ([]Member, []link, error) {
	section := io.NewSectionReader(r, 0, n)
	// The reader of headers takes whole blocks and looks no further: where it
	// stands is where the content begins.
	t := tar.NewReader(section)
	var list []Member
	var links []link
	for count := 0; ; count++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return list, links, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading member %d of the archive: %w", count, err)
		}
		if count == Max {
			return nil, nil, fmt.Errorf("the archive has more than %d members", Max)
		}
		if target, ok := linked(h); ok {
			links = append(links, link{clean(h.Name), target})
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
			continue
		}
		off, err := section.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, nil, err
		}
		if sparse(h) {
			return nil, nil, fmt.Errorf("%s is %w", h.Name, ErrSparse)
		}
		if h.Size < 0 || h.Size > n-off {
			return nil, nil, fmt.Errorf("%s has %d bytes, the archive ends %d bytes behind its beginning", h.Name, h.Size, n-off)
		}
		list = append(list, Member{Name: clean(h.Name), Off: off, Size: h.Size})
	}
}

func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
