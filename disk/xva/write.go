package xva

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// Options are the choices of a writer.
type Options struct {
	// Description is the content of ova.xml.
	Description []byte
	// Checksum is SHA1 by default, which hosts of any age read.
	Checksum Checksum
	// Created is the time that all members carry.
	Created time.Time
}

const (
	tarBlock = 512
	// maxPackers and inFlight bound the memory of a writer: chunks on their
	// way through the hash.
	maxPackers = 4
	inFlight   = 4
)

// Writer writes an archive straight on, disk by disk.
type Writer struct {
	w    io.Writer
	opts Options
}

// NewWriter begins an archive in w with its description.
func NewWriter(w io.Writer, opts Options) (*Writer, error) {
	if opts.Checksum == "" {
		opts.Checksum = SHA1
	}
	if _, err := opts.Checksum.new(); err != nil {
		return nil, fmt.Errorf("creating an XVA: %w", err)
	}
	a := &Writer{w, opts}
	return a, a.member(DescriptionName, opts.Description)
}

// Disk returns a sink for a disk of size bytes. folder is its reference in the
// description, such as "Ref:3": hosts read the disks in the order of these, as
// text. Before the next disk the sink is to be closed.
func (a *Writer) Disk(folder string, size int64) (disk.Sink, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("creating an XVA: a size of %d bytes is out of range", size)
	}
	d := &writer{Writer: a, folder: folder, size: size}
	var err error
	if d.pipe, err = pipe.NewBounded(maxPackers, inFlight, d.packer, d.emit); err != nil {
		return nil, fmt.Errorf("creating an XVA: %w", err)
	}
	d.Assembler = blocks.New(size, chunkSize, d.add)
	return d, nil
}

// Close ends the archive. It does not close what it is written into.
func (a *Writer) Close() error {
	_, err := a.w.Write(make([]byte, 2*tarBlock))
	return err
}

// writer is a disk.Sink, and holds a few chunks.
type writer struct {
	*blocks.Assembler
	*Writer
	folder string
	size   int64
	pipe   *pipe.Pipe
	next   int64 // the offset behind the last chunk that was submitted
	closed bool
}

// packer makes the checksum of a chunk.
func (d *writer) packer() (pipe.Packer, error) {
	h, err := d.opts.Checksum.new()
	return func(dst, chunk []byte) ([]byte, error) {
		h.Reset()
		h.Write(chunk)
		return append(dst, d.opts.Checksum.text(h)...), nil
	}, err
}

// add takes a chunk that is not zero, and sees to it that the first is there.
func (d *writer) add(off int64, chunk []byte) error {
	if d.next == 0 && off > 0 {
		if err := d.submit(0, make([]byte, chunkSize)); err != nil {
			return err
		}
	}
	return d.submit(off, chunk)
}

func (d *writer) submit(off int64, chunk []byte) error {
	d.next = off + int64(len(chunk))
	return d.pipe.Submit(off, chunk)
}

// emit writes a chunk and its checksum.
func (d *writer) emit(off int64, chunk, sum []byte) error {
	name := fmt.Sprintf("%s/%08d", d.folder, off/chunkSize)
	if err := d.member(name, chunk); err != nil {
		return err
	}
	return d.member(name+"."+string(d.opts.Checksum), sum)
}

// member writes a member of the archive.
func (a *Writer) member(name string, content []byte) error {
	var head bytes.Buffer
	err := tar.NewWriter(&head).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644,
		ModTime: a.opts.Created.Truncate(time.Second), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return fmt.Errorf("archiving %s: %w", name, err)
	}
	for _, p := range [][]byte{head.Bytes(), content, make([]byte, -len(content)&(tarBlock-1))} {
		if _, err := a.w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// Close writes the last chunk, if it is zero.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed {
		return err
	}
	d.closed = true
	if err == nil && d.next < d.size {
		last := (d.size - 1) / chunkSize * chunkSize
		err = d.add(last, make([]byte, d.size-last))
	}
	if e := d.pipe.Close(); err == nil {
		err = e
	}
	return err
}
