package ovfenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The parts of ECMA-119 that lead to a file at the root of a CD. Numbers are
// recorded in both byte orders; the little-endian ones come first.
const (
	sectorSize      = 2048 // 6.1.2
	firstDescriptor = 16   // 6.2.1: the system area is before it
	standardID      = "CD001"

	typePrimary       = 1   // 8.1.1
	typeSupplementary = 2   // Joliet's, when its escape sequence says so
	typeTerminator    = 255 // 8.3

	offsetEscapes   = 88  // 8.5.6
	offsetBlockSize = 128 // 8.4.12
	offsetRoot      = 156 // 8.4.18: the record of the root directory

	recordMin     = 34   // 9.1, with a name of one byte
	flagDirectory = 0x02 // 9.1.6
	flagMore      = 0x80 // the file goes on in the next record
)

// The bounds of what is read. A root directory of this size holds more than
// three thousand files.
const (
	maxDescriptors = 32
	maxDirectory   = 256 << 10 // bytes

	// MaxDocument bounds the environment document, in bytes.
	MaxDocument = 1 << 20
)

// ErrNone says that a device is no CD, or one without an environment document.
var ErrNone = errors.New("no OVF environment")

// ReadCD returns the document ovf-env.xml at the root of an ISO 9660 CD; the
// name may be written in any of the ways that writers of CDs map it to. It is
// ErrNone when there is none.
func ReadCD(r io.ReaderAt) ([]byte, error) {
	for i := range maxDescriptors {
		var d [sectorSize]byte
		if _, err := r.ReadAt(d[:], int64(firstDescriptor+i)*sectorSize); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, ErrNone // a small disk
			}
			return nil, fmt.Errorf("reading volume descriptor %d: %w", i, err)
		}
		kind := d[0]
		if string(d[1:6]) != standardID || kind == typeTerminator {
			return nil, ErrNone
		}
		if kind != typePrimary && (kind != typeSupplementary || !joliet(d[offsetEscapes:])) {
			continue
		}
		doc, err := readTree(r, d[:], kind == typeSupplementary)
		if !errors.Is(err, ErrNone) {
			return doc, err
		}
	}
	return nil, ErrNone
}

// joliet reports whether the names of a supplementary volume are UCS-2, by the
// escape sequences of the Joliet specification.
func joliet(escapes []byte) bool {
	for _, level := range []string{"%/@", "%/C", "%/E"} {
		if bytes.HasPrefix(escapes, []byte(level)) {
			return true
		}
	}
	return false
}

// readTree looks in the root directory of one volume descriptor.
func readTree(r io.ReaderAt, descriptor []byte, wide bool) ([]byte, error) {
	block := int64(binary.LittleEndian.Uint16(descriptor[offsetBlockSize:]))
	if block != 512 && block != 1024 && block != 2048 {
		return nil, fmt.Errorf("reading the CD: a block has %d bytes", block)
	}
	root, err := readExtent(r, descriptor[offsetRoot:offsetRoot+recordMin], block, maxDirectory)
	if err != nil {
		return nil, fmt.Errorf("reading the root directory of the CD: %w", err)
	}
	for len(root) >= recordMin {
		size := int(root[0])
		if size == 0 { // no record crosses a sector: the rest of this one is empty
			root = root[min(len(root), 1+(len(root)-1)%sectorSize):]
			continue
		}
		if size < recordMin || size > len(root) || recordMin-1+int(root[32]) > size {
			return nil, fmt.Errorf("reading the root directory of the CD: a record has %d bytes", size)
		}
		record := root[:size]
		root = root[size:]
		if record[25]&flagDirectory != 0 || !isDocument(record[33:33+int(record[32])], wide) {
			continue
		}
		// 9.1.6 to 9.1.8: one file in one piece, which a small one always is.
		if record[25]&flagMore != 0 || record[26] != 0 || record[27] != 0 {
			return nil, errors.New("reading the OVF environment from the CD: the file is in pieces")
		}
		doc, err := readExtent(r, record, block, MaxDocument)
		if err != nil {
			return nil, fmt.Errorf("reading the OVF environment from the CD: %w", err)
		}
		return doc, nil
	}
	return nil, ErrNone
}

// readExtent reads what a directory record describes: behind the extended
// attribute record, if it has one (9.1.2 to 9.1.4).
func readExtent(r io.ReaderAt, record []byte, block, bound int64) ([]byte, error) {
	start := int64(binary.LittleEndian.Uint32(record[2:])) + int64(record[1])
	size := int64(binary.LittleEndian.Uint32(record[10:]))
	if size > bound {
		return nil, fmt.Errorf("it has %d bytes, more than %d", size, bound)
	}
	b := make([]byte, size)
	if n, err := r.ReadAt(b, start*block); n < len(b) {
		return nil, fmt.Errorf("%d bytes at %d: %w", size, start*block, err)
	}
	return b, nil
}

// isDocument reports whether a file identifier is that of the document. The
// plainest level of ISO 9660 has neither small letters nor a hyphen, and adds a
// version (7.5).
func isDocument(name []byte, wide bool) bool {
	if wide {
		narrow := make([]byte, 0, len(name)/2)
		for i := 0; i+1 < len(name); i += 2 {
			if name[i] != 0 {
				return false
			}
			narrow = append(narrow, name[i+1])
		}
		name = narrow
	}
	text, _, _ := strings.Cut(string(name), ";")
	return strings.EqualFold(text, "ovf-env.xml") || strings.EqualFold(text, "ovf_env.xml")
}
