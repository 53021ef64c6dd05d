// Package tarred writes the pieces of tar archives for formats that put a disk
// in one in its place: the disk is written behind room for the headers, which
// are filled in when its size is known.
//
// Archives are ustar; only a member of 8 GiB and more has its size in base
// 256, as GNU tar writes it.
package tarred

import (
	"archive/tar"
	"bytes"
	"fmt"
	"time"
)

const (
	// Block is the length of a header, in bytes; content is padded to it.
	Block = 512
	// ustarLimit is the first size that the octal digits do not hold.
	ustarLimit = 1 << 33
)

// Blocks rounds up to whole blocks.
func Blocks(n int64) int64 { return (n + Block - 1) / Block * Block }

// End is the length of an archive of n bytes with the two empty blocks that
// end it.
func End(n int64) int64 { return n + 2*Block }

// File is the header of a regular file that belongs to nobody.
func File(name string, size int64, when time.Time) ([]byte, error) {
	return Header(tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}, when)
}

// Header is any header that is one block.
func Header(h tar.Header, when time.Time) ([]byte, error) {
	h.ModTime, h.Format = when.Truncate(time.Second), tar.FormatUSTAR
	if h.Size >= ustarLimit {
		h.Format = tar.FormatGNU
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		return nil, fmt.Errorf("archiving %s: %w", h.Name, err)
	}
	if b.Len() != Block {
		return nil, fmt.Errorf("archiving %s: its header does not fit one block", h.Name)
	}
	return b.Bytes(), nil
}

// Member is a small file with its header and padding.
func Member(name string, content []byte, when time.Time) ([]byte, error) {
	p, err := File(name, int64(len(content)), when)
	if err != nil {
		return nil, err
	}
	p = append(p, content...)
	return append(p, make([]byte, Blocks(int64(len(content)))-int64(len(content)))...), nil
}
