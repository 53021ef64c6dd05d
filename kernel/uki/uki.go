// Package uki writes unified kernel images: one EFI program that carries the
// kernel, its command line and an optional initramfs. UEFI firmware starts it
// without a boot loader and without a menu.
//
// The program is systemd's EFI stub with sections appended, as the Unified
// Kernel Image specification of the UAPI group lays down: .osrel, .cmdline,
// .initrd and .linux. The offsets are those of the PE format, chapter 3
// ("File Headers") of Microsoft's PE Format specification.
package uki

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Image is what a unified kernel image is made of.
type Image struct {
	Stub      []byte // linuxx64.efi.stub
	OSRelease []byte // text in the form of os-release(5)
	Cmdline   string
	Initramfs []byte // may be empty
	Kernel    []byte // a bzImage with an EFI stub of its own
}

// Offsets in the PE headers. The optional header's are relative to its start.
const (
	peOffsetAt        = 0x3c
	coffSections      = 6  // NumberOfSections, from the signature
	coffOptionalSize  = 20 // SizeOfOptionalHeader
	coffHeaderSize    = 24 // signature and COFF header
	optInitialized    = 8  // SizeOfInitializedData
	optSectionAlign   = 32
	optFileAlign      = 36
	optImageSize      = 56
	optHeadersSize    = 60
	optChecksum       = 64
	sectionHeaderSize = 40
	maxSections       = 96
)

// Section characteristics: initialized data, readable.
const dataReadable = 0x40000040

// Sections begin on a page of their own, so that firmware can protect them.
const pageSize = 4096

// Build returns the EFI program.
func Build(im Image) ([]byte, error) {
	p, err := parse(im.Stub)
	if err != nil {
		return nil, fmt.Errorf("reading the EFI stub: %w", err)
	}
	p.add(".osrel", im.OSRelease)
	p.add(".cmdline", []byte(im.Cmdline))
	if len(im.Initramfs) > 0 {
		p.add(".initrd", im.Initramfs)
	}
	// The kernel comes last: it may need room behind itself when it unpacks
	// in place.
	p.add(".linux", im.Kernel)
	if p.err != nil {
		return nil, fmt.Errorf("appending to the EFI stub: %w", p.err)
	}
	return p.finish(), nil
}

// program is a PE file under construction.
type program struct {
	data                     []byte
	coff, opt, table         int // offsets of the headers
	sections                 int
	sectionAlign, fileAlign  uint32
	headersSize, nextAddress uint32
	added                    uint32
	err                      error
}

func parse(stub []byte) (*program, error) {
	le := binary.LittleEndian
	if len(stub) < 0x40 || stub[0] != 'M' || stub[1] != 'Z' {
		return nil, errors.New("not an EFI program")
	}
	pe := int(le.Uint32(stub[peOffsetAt:]))
	if pe < 0x40 || pe > len(stub)-coffHeaderSize-optChecksum-4 || string(stub[pe:pe+4]) != "PE\x00\x00" {
		return nil, errors.New("no PE signature")
	}
	p := &program{data: append([]byte(nil), stub...), coff: pe, opt: pe + coffHeaderSize}
	p.sections = int(le.Uint16(stub[pe+coffSections:]))
	p.table = p.opt + int(le.Uint16(stub[pe+coffOptionalSize:]))
	if p.sections == 0 || p.sections > maxSections || p.table+p.sections*sectionHeaderSize > len(stub) {
		return nil, errors.New("the section table is out of bounds")
	}
	p.sectionAlign = le.Uint32(stub[p.opt+optSectionAlign:])
	p.fileAlign = le.Uint32(stub[p.opt+optFileAlign:])
	p.headersSize = le.Uint32(stub[p.opt+optHeadersSize:])
	for _, a := range []uint32{p.sectionAlign, p.fileAlign} {
		if a == 0 || a&(a-1) != 0 || a > 1<<20 {
			return nil, fmt.Errorf("alignment %d is not a power of two", a)
		}
	}
	for i := range p.sections {
		h := stub[p.table+i*sectionHeaderSize:]
		end := uint64(le.Uint32(h[12:])) + uint64(le.Uint32(h[8:])) // VirtualAddress + VirtualSize
		if end > 1<<30 {
			return nil, errors.New("a section lies beyond 1 GiB")
		}
		p.nextAddress = max(p.nextAddress, uint32(end))
	}
	return p, nil
}

// add appends a section.
func (p *program) add(name string, content []byte) {
	if p.err != nil {
		return
	}
	at := p.table + p.sections*sectionHeaderSize
	if at+sectionHeaderSize > int(p.headersSize) {
		p.err = fmt.Errorf("no room in the header for section %s", name)
		return
	}
	p.data = append(p.data, make([]byte, align(uint32(len(p.data)), p.fileAlign)-uint32(len(p.data)))...)
	p.nextAddress = align(p.nextAddress, max(p.sectionAlign, pageSize))

	le := binary.LittleEndian
	size := align(uint32(len(content)), p.fileAlign)
	h := p.data[at : at+sectionHeaderSize]
	clear(h)
	copy(h[:8], name)
	le.PutUint32(h[8:], uint32(len(content)))
	le.PutUint32(h[12:], p.nextAddress)
	le.PutUint32(h[16:], size)
	le.PutUint32(h[20:], uint32(len(p.data)))
	le.PutUint32(h[36:], dataReadable)

	p.data = append(p.data, content...)
	p.data = append(p.data, make([]byte, int(size)-len(content))...)
	p.nextAddress += uint32(len(content))
	p.added += size
	p.sections++
}

// finish updates the header fields that depend on all sections.
func (p *program) finish() []byte {
	le := binary.LittleEndian
	le.PutUint16(p.data[p.coff+coffSections:], uint16(p.sections))
	opt := p.data[p.opt:]
	le.PutUint32(opt[optInitialized:], le.Uint32(opt[optInitialized:])+p.added)
	le.PutUint32(opt[optImageSize:], align(p.nextAddress, p.sectionAlign))
	le.PutUint32(opt[optChecksum:], 0)
	return p.data
}

func align(n, to uint32) uint32 { return (n + to - 1) &^ (to - 1) }
