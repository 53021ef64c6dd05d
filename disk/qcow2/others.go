package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
)

// Types of header extensions ("Header extensions").
const (
	extensionEnd      = 0
	extensionFormat   = 0xe2792aca // of the backing file
	extensionDataFile = 0x44415441
)

// maxName bounds the name of a file, in bytes ("backing_file_size").
const maxName = 1023

// others are the files that an image needs beside its own.
type others struct {
	backing, backingFormat string
	dataFile               string
}

// readOthers reads the names of the files that the header tells of.
func (h header) readOthers(r io.ReaderAt, n int64) (others, error) {
	var o others
	if h.backingOffset != 0 {
		if h.backingSize > maxName || h.backingOffset > n-h.backingSize {
			return o, fmt.Errorf("the name of its backing file, %d bytes at %d, is out of place", h.backingSize, h.backingOffset)
		}
		p := make([]byte, h.backingSize)
		if got, err := r.ReadAt(p, h.backingOffset); got < len(p) {
			return o, fmt.Errorf("reading the name of its backing file: %w", orUnexpected(err))
		}
		o.backing = string(p)
	}
	if err := h.readExtensions(r, &o); err != nil {
		return o, fmt.Errorf("reading its header extensions: %w", err)
	}
	if h.external && o.dataFile == "" {
		return o, errors.New("its data lie in another file, which it does not name")
	}
	return o, nil
}

// readExtensions follows the header's extensions. They end within the first
// cluster.
func (h header) readExtensions(r io.ReaderAt, o *others) error {
	p := make([]byte, min(h.cluster(), 1<<16))
	n, err := r.ReadAt(p, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for p = p[min(h.length, int64(n)):n]; len(p) >= 8; {
		kind, size := binary.BigEndian.Uint32(p), int64(binary.BigEndian.Uint32(p[4:]))
		if kind == extensionEnd || size > int64(len(p)-8) {
			break // old writers leave the end out
		}
		switch text := string(p[8 : 8+size]); kind {
		case extensionFormat:
			o.backingFormat = text
		case extensionDataFile:
			o.dataFile = text
		}
		p = p[8+min((size+7)&^7, int64(len(p)-8)):]
	}
	return nil
}

// open opens the files; the disks are nil where there is none.
func (o others) open(open disk.Opener) (backing, data disk.Reader, err error) {
	if open == nil && o != (others{}) {
		return nil, nil, refuse("it needs another file, %q, and is read on its own", o.backing+o.dataFile)
	}
	if o.dataFile != "" {
		if data, err = open(o.dataFile, "raw"); err != nil {
			return nil, nil, fmt.Errorf("opening its data file: %w", err)
		}
	}
	if o.backing != "" {
		name := strings.TrimPrefix(o.backing, "file:")
		if backing, err = open(name, o.backingFormat); err != nil {
			return nil, nil, fmt.Errorf("opening its backing file: %w", err)
		}
	}
	return backing, data, nil
}
