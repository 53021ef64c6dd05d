// Package lvm accounts for physical volumes of LVM2, and through them for the
// filesystems on their logical volumes.
//
// The layout is that of LVM2's lib/format_text/layout.h and lib/label/label.h,
// cited below as LAYOUT: a label in one of the first sectors, an area with the
// metadata as text, written round and round, and extents of data.
//
// Dead are older copies of the metadata, which tell of hosts, deleted volumes
// and when they were made; the gaps around the areas; and extents that no
// logical volume has. A linear or striped volume that lies on this physical
// volume altogether is put together, and the driver that recognises its
// filesystem accounts for it. All others are unknown: those of other types
// (thin, mirrored, RAID, cached), what such a volume is made of, an origin of
// snapshots and a snapshot, and volumes that reach onto another disk.
//
// A change of the metadata that was cut off is refused.
package lvm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// LAYOUT struct label_header, struct pv_header and struct mda_header.
const (
	sector      = 512
	labelScan   = 4 // sectors in which a label may be
	labelMagic  = "LABELONE"
	labelType   = "LVM2 001"
	labelSum    = 16
	labelSummed = 20 // from here on the checksum covers the sector
	labelOffset = 20 // of the field that says where pv_header begins
	labelKind   = 24
	uuidLen     = 32
	areaLen     = 16 // offset and size
	areasMost   = 32

	mdaMagic   = " LVM2 x[5A%r0N*>"
	mdaHeader  = 512
	mdaLocns   = 40
	locnLen    = 24
	locnIgnore = 1

	// maxText bounds the metadata that is parsed, in bytes.
	maxText = 16 << 20
	// sumSeed is where checksums of LVM start.
	sumSeed = 0xf597a6cf
)

// sum is LVM's checksum: CRC-32 without inversions.
func sum(p []byte) uint32 { return ^crc32.Update(^uint32(sumSeed), crc32.IEEETable, p) }

// Driver recognises physical volumes.
type Driver struct {
	// Volumes recognise what is on logical volumes.
	Volumes []sanitize.Driver
}

// Name returns "lvm2".
func (Driver) Name() string { return "lvm2" }

// Open reads the label, the metadata, and the filesystems.
func (d Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	p, err := readLabel(r)
	if err != nil {
		return nil, err
	}
	if err := p.readMetadata(); err != nil {
		return nil, err
	}
	for i := range p.volumes {
		v := &p.volumes[i]
		if v.opaque != "" {
			continue
		}
		if err := v.open(ctx, r, d.Volumes); err != nil {
			return nil, fmt.Errorf("logical volume %s: %w", v.name, err)
		}
	}
	return p, nil
}

// physical is a physical volume. Areas are in bytes.
type physical struct {
	r       disk.Reader
	label   int64 // byte of the label's sector
	uuid    string
	loaders []disk.Extent // areas of boot loaders
	mdas    []disk.Extent
	texts   []disk.Extent // the current copy in each; wrapped ones in two parts
	text    []byte
	start   int64 // of the extents
	extent  int64 // bytes in one
	extents int64
	group   string
	volumes []volume
}

// Type returns "LVM2".
func (p *physical) Type() string { return "LVM2" }

// Label returns the name of the volume group.
func (p *physical) Label() string { return p.group }

func readLabel(r disk.Reader) (*physical, error) {
	for i := range int64(labelScan) {
		if r.Size() < (i+1)*sector {
			break
		}
		b := make([]byte, sector)
		if err := sanitize.ReadFull(r, b, i*sector); err != nil {
			return nil, err
		}
		le := binary.LittleEndian
		if string(b[:8]) != labelMagic || string(b[labelKind:labelKind+8]) != labelType || int64(le.Uint64(b[8:])) != i {
			continue
		}
		if sum(b[labelSummed:]) != le.Uint32(b[labelSum:]) {
			return nil, errors.New("the checksum of the label is wrong")
		}
		p := &physical{r: r, label: i * sector}
		return p, p.parseHeader(b, int(le.Uint32(b[labelOffset:])))
	}
	return nil, sanitize.ErrNotRecognized
}

// parseHeader reads the lists of areas, each of which ends with zeros.
func (p *physical) parseHeader(b []byte, at int) error {
	if at < labelKind || at+uuidLen+8 > len(b) {
		return errors.New("the label has no header")
	}
	p.uuid = string(b[at : at+uuidLen])
	at += uuidLen + 8
	lists := make([][]disk.Extent, 3)
	for i := range lists {
		if i == 2 { // an extension, since version 1 of it
			if at+8 > len(b) || binary.LittleEndian.Uint32(b[at:]) == 0 {
				break
			}
			at += 8
		}
		for {
			if at+areaLen > len(b) || len(lists[i]) > areasMost {
				return errors.New("the lists of areas have no end")
			}
			off, n := binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+8:])
			at += areaLen
			if off == 0 {
				break
			}
			size := uint64(p.r.Size())
			if off > size || n > size-off {
				return fmt.Errorf("an area of %d bytes at byte %d lies outside", n, off)
			}
			lists[i] = append(lists[i], disk.Extent{Off: int64(off), Len: int64(n)})
		}
	}
	if len(lists[0]) != 1 || len(lists[1]) == 0 {
		return fmt.Errorf("%d data areas and %d metadata areas: %w", len(lists[0]), len(lists[1]), sanitize.ErrNotRecognized)
	}
	p.mdas, p.loaders = lists[1], lists[2]
	return nil
}

// readMetadata finds the current text in each area and parses it.
func (p *physical) readMetadata() error {
	for _, a := range p.mdas {
		text, err := p.readArea(a)
		if err != nil {
			return fmt.Errorf("reading the metadata at byte %d: %w", a.Off, err)
		}
		if p.text != nil && text != nil && !bytes.Equal(p.text, text) {
			return refused("the copies of the metadata differ")
		}
		if text != nil {
			p.text = text
		}
	}
	if p.text == nil { // a physical volume without a group
		return nil
	}
	root, err := parseText(p.text)
	if err != nil {
		return fmt.Errorf("parsing the metadata: %w", err)
	}
	return p.describe(root)
}

func refused(why string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), "let `vgck` and `vgs` look at it first")
}

// readArea returns the text in a metadata area, nil when there is none.
func (p *physical) readArea(a disk.Extent) ([]byte, error) {
	b := make([]byte, mdaHeader)
	if a.Len <= mdaHeader {
		return nil, errors.New("the area is too small")
	}
	if err := sanitize.ReadFull(p.r, b, a.Off); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(b[4:20]) != mdaMagic || sum(b[4:]) != le.Uint32(b) {
		return nil, errors.New("the header is damaged")
	}
	locn := b[mdaLocns:]
	if le.Uint64(locn[locnLen:]) != 0 {
		return nil, refused("a change of the metadata was cut off")
	}
	off, size, want, flags := le.Uint64(locn), le.Uint64(locn[8:]), le.Uint32(locn[16:]), le.Uint32(locn[20:])
	if off == 0 || flags&locnIgnore != 0 {
		return nil, nil
	}
	if off < mdaHeader || off >= uint64(a.Len) || size > uint64(a.Len)-mdaHeader || size > maxText {
		return nil, fmt.Errorf("%d bytes of text at byte %d", size, off)
	}
	first := disk.Extent{Off: a.Off + int64(off), Len: min(int64(size), a.Len-int64(off))}
	parts := []disk.Extent{first}
	if rest := int64(size) - first.Len; rest > 0 {
		parts = append(parts, disk.Extent{Off: a.Off + mdaHeader, Len: rest})
	}
	var text []byte
	for _, e := range parts {
		part := make([]byte, e.Len)
		if err := sanitize.ReadFull(p.r, part, e.Off); err != nil {
			return nil, err
		}
		text = append(text, part...)
	}
	if sum(text) != want {
		return nil, errors.New("the checksum of the text is wrong")
	}
	p.texts = append(p.texts, parts...)
	return text, nil
}
