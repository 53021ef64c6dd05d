package kernel

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// NeedsPVGrub reports whether GRUB-for-Xen cannot boot the image as it is in a
// paravirtual guest: it takes bzImages whose payload is packed by gzip or XZ, or
// not at all (grub-core/loader/i386/xen_file.c of 2.06), and says "not xen image"
// to others.
func (im Image) NeedsPVGrub() bool {
	return im.Format == BzImage && im.Compression != Gzip && im.Compression != XZ && im.Compression != Uncompressed
}

// WritePVGrub writes an ELF that GRUB-for-Xen boots in a paravirtual guest; GRUB
// also unpacks it, from gzip or XZ. It is false, and nothing is written, when the
// kernel cannot be such a guest.
//
// The ELF holds what a loader reads, in the order in which GRUB reads it: the
// notes come first and there are no sections. In the kernel's own order the
// notes lie in the middle, and GRUB would have to unpack the file twice. It
// takes the memory of the unpacked kernel, some 20 to 80 MB.
func WritePVGrub(ctx context.Context, r io.ReaderAt, size int64, w io.Writer) (bool, error) {
	var unpacked bytes.Buffer
	if err := ExtractELF(ctx, r, size, &unpacked); err != nil {
		return false, err
	}
	f, err := elf.NewFile(bytes.NewReader(unpacked.Bytes()))
	if err != nil {
		return false, notKernel(err)
	}
	defer f.Close()
	notes, ok, err := pvNotes(f)
	if err != nil || !ok {
		return false, err
	}
	if err := writePlainELF(w, f, notes); err != nil {
		return false, err
	}
	return true, ctx.Err()
}

// pvNotes returns the segment of notes that names the entry of a paravirtual
// guest.
func pvNotes(f *elf.File) ([]byte, bool, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNotes {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), notes); err != nil {
			return nil, false, notKernel(fmt.Errorf("reading its notes: %w", err))
		}
		if hasNote(notes, "Xen", pvEntryNote) {
			return notes, true, nil
		}
	}
	return nil, false, nil
}

// maxSegments bounds what is loaded of a kernel; real ones have four.
const maxSegments = 64

// segmentAlign keeps a segment's offset in the file congruent with its address
// modulo a page (System V ABI, "Program Header").
const segmentAlign = 4096

// writePlainELF writes header, program headers, notes and the segments to load.
func writePlainELF(w io.Writer, f *elf.File, notes []byte) error {
	var loads []*elf.Prog
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			loads = append(loads, p)
		}
	}
	if len(loads) == 0 || len(loads) > maxSegments {
		return notKernel(fmt.Errorf("it has %d segments to load", len(loads)))
	}
	const headerSize, segmentSize = 64, 56 // of the 64-bit class
	header := elf.Header64{
		Type: uint16(f.Type), Machine: uint16(f.Machine), Version: uint32(elf.EV_CURRENT), Entry: f.Entry,
		Phoff: headerSize, Ehsize: headerSize, Phentsize: segmentSize, Phnum: uint16(1 + len(loads)),
		Shentsize: 64,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] =
		byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)

	at := uint64(headerSize + segmentSize*(1+len(loads)))
	table := []elf.Prog64{{
		Type: uint32(elf.PT_NOTE), Flags: uint32(elf.PF_R), Off: at,
		Filesz: uint64(len(notes)), Memsz: uint64(len(notes)), Align: 4,
	}}
	at += uint64(len(notes))
	for _, p := range loads {
		at += (p.Vaddr - at) % segmentAlign
		table = append(table, elf.Prog64{
			Type: uint32(p.Type), Flags: uint32(p.Flags), Off: at, Vaddr: p.Vaddr, Paddr: p.Paddr,
			Filesz: p.Filesz, Memsz: p.Memsz, Align: segmentAlign,
		})
		at += p.Filesz
	}
	c := &countingWriter{w: w}
	err := errors.Join(binary.Write(c, binary.LittleEndian, header), binary.Write(c, binary.LittleEndian, table))
	if err == nil {
		_, err = c.Write(notes)
	}
	if err != nil {
		return fmt.Errorf("writing the kernel: %w", err)
	}
	for i, p := range loads {
		if err := c.segment(p, table[1+i].Off); err != nil {
			return err
		}
	}
	return nil
}

// countingWriter knows how far it is.
type countingWriter struct {
	w  io.Writer
	at uint64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.at += uint64(n)
	return n, err
}

// segment writes what a segment holds in the file, behind zeros up to off.
func (c *countingWriter) segment(p *elf.Prog, off uint64) error {
	if _, err := c.Write(make([]byte, off-c.at)); err != nil {
		return fmt.Errorf("writing the kernel: %w", err)
	}
	n, err := io.Copy(c, p.Open())
	if err == nil && uint64(n) != p.Filesz {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return notKernel(fmt.Errorf("reading the segment at %#x: %w", p.Vaddr, err))
	}
	return nil
}
