package rpm

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// File is a file of a package.
type File struct {
	// Path begins with a name, not with a slash, and is clean.
	Path string
	Mode uint32 // as in stat(2)
	Size int64  // bytes
	// Links are the earlier names of the same file: a package stores the
	// content with the last of its hard links.
	Links []string
}

// Regular tells whether it is a file with content.
func (f *File) Regular() bool { return f.Mode&modeType == modeRegular }

const (
	modeType    = 0o170000
	modeRegular = 0o100000
)

// The form newc: a header of fields of eight hexadecimal digits, the name and a
// NUL, the content; name and content are padded to four bytes
// (Documentation/driver-api/early-userspace/buffer-format.rst).
const (
	cpioMagic     = "070701"
	cpioStripped  = "07070X"
	cpioHeader    = 110
	cpioTrailer   = "TRAILER!!!"
	fieldInode    = 0
	fieldMode     = 1
	fieldNlink    = 4
	fieldSize     = 6
	fieldNameSize = 11
)

// Bounds of an archive.
const (
	maxFiles    = 1 << 20
	maxNameSize = 4096
	maxLinks    = 1 << 10 // hard links that wait for their content
)

// archive reads a cpio archive as a stream.
type archive struct {
	r       io.Reader
	left    int64 // of the current file's content
	padding int64 // behind it
	files   int
	links   map[uint32][]string // by inode
	waiting int                 // names in links
}

// next moves to the next file; io.EOF is the trailer.
func (a *archive) next() (*File, error) {
	for {
		f, err := a.entry()
		if err != nil {
			return nil, err
		}
		if f != nil {
			return f, nil
		}
	}
}

// entry reads one header. A hard link without content gives nil.
func (a *archive) entry() (*File, error) {
	if _, err := io.CopyN(io.Discard, a.r, a.left+a.padding); err != nil {
		return nil, short(err)
	}
	a.left, a.padding = 0, 0
	if a.files++; a.files > maxFiles {
		return nil, fmt.Errorf("it has more than %d files", maxFiles)
	}
	fields, err := a.header()
	if err != nil {
		return nil, err
	}
	name, err := a.name(fields[fieldNameSize])
	if err != nil {
		return nil, err
	}
	if name == cpioTrailer {
		return nil, io.EOF
	}
	size := int64(fields[fieldSize])
	a.left, a.padding = size, -size&3
	f := &File{Mode: fields[fieldMode], Size: size}
	if f.Path, err = clean(name); err != nil {
		return nil, err
	}
	if !f.Regular() || fields[fieldNlink] < 2 {
		return f, nil
	}
	return a.linked(f, fields[fieldInode])
}

// linked keeps the name of a hard link until the last one, which has the
// content. Of an empty file no link has: such files are left out.
func (a *archive) linked(f *File, inode uint32) (*File, error) {
	if f.Size > 0 {
		f.Links = a.links[inode]
		a.waiting -= len(f.Links)
		delete(a.links, inode)
		return f, nil
	}
	if a.waiting++; a.waiting > maxLinks {
		return nil, fmt.Errorf("it has more than %d hard links without content", maxLinks)
	}
	if a.links == nil {
		a.links = map[uint32][]string{}
	}
	a.links[inode] = append(a.links[inode], f.Path)
	return nil, nil
}

// header reads the fields of a file.
func (a *archive) header() (fields [13]uint32, err error) {
	var h [cpioHeader]byte
	if _, err := io.ReadFull(a.r, h[:]); err != nil {
		return fields, short(err)
	}
	switch string(h[:len(cpioMagic)]) {
	case cpioMagic:
	case cpioStripped:
		return fields, errors.New("its archive has no names: packages of format 6, and those with files above 4 GiB, are not read")
	default:
		return fields, errors.New("its archive has a damaged header")
	}
	for i := range fields {
		digits := string(h[len(cpioMagic)+8*i:][:8])
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return fields, fmt.Errorf("its archive has a header with %q for a number", digits)
		}
		fields[i] = uint32(n)
	}
	return fields, nil
}

// name reads a name of size bytes, with its NUL, and the padding of header and
// name.
func (a *archive) name(size uint32) (string, error) {
	if size < 2 || size > maxNameSize {
		return "", fmt.Errorf("its archive has a name of %d bytes", size)
	}
	b := make([]byte, size+-(cpioHeader+size)&3)
	if _, err := io.ReadFull(a.r, b); err != nil {
		return "", short(err)
	}
	name, _, _ := strings.Cut(string(b[:size]), "\x00")
	return name, nil
}

// clean makes a path relative to the root. rpm writes "./usr/lib/…".
func clean(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("its archive names %q", name)
		}
	}
	p := path.Clean("/" + name)[1:]
	if p == "" {
		p = "."
	}
	return p, nil
}

// Read reads the content of the current file.
func (a *archive) Read(b []byte) (int, error) {
	if a.left == 0 {
		return 0, io.EOF
	}
	n, err := a.r.Read(b[:min(int64(len(b)), a.left)])
	a.left -= int64(n)
	if err == io.EOF && a.left > 0 {
		err = io.ErrUnexpectedEOF
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}
