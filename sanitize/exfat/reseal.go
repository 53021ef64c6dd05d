package exfat

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Reseal zeroes what checksums cover: the characters behind the end of a name,
// and the reserved sector of each boot region. Only what differs is written.
func (v *volume) Reseal(ctx context.Context, w disk.Writer) error {
	t := &tree{volume: v, chained: numbers{}, entries: func(s *set) error { return s.reseal(w) }}
	if err := t.walk(ctx); err != nil {
		return err
	}
	for n := range int64(bootRegions) {
		if err := v.resealBoot(w, n*regionSectors*v.sector); err != nil {
			return fmt.Errorf("resealing boot region %d: %w", n+1, err)
		}
	}
	return nil
}

// reseal zeroes what is behind the name, and writes the entries of the set: in
// one write, unless they are in clusters that are apart.
func (s *set) reseal(w disk.Writer) error {
	tail := s.tail()
	if len(bytes.Trim(tail, "\x00")) == 0 {
		return nil
	}
	clear(tail)
	binary.LittleEndian.PutUint16(s.slots[0].raw[offSetSum:], s.sum())
	for i := 0; i < len(s.slots); {
		off, b := s.slots[i].off, []byte(nil)
		for ; i < len(s.slots) && s.slots[i].off == off+int64(len(b)); i++ {
			b = append(b, s.slots[i].raw[:]...)
		}
		if _, err := w.WriteAt(b, off); err != nil {
			return fmt.Errorf("resealing the entries of %q: %w", s.name, err)
		}
	}
	return nil
}

// resealBoot zeroes the reserved sector of the boot region at off, together
// with the checksum that follows it. A region whose checksum does not hold, or
// that is not there, is left alone.
func (v *volume) resealBoot(w disk.Writer, off int64) error {
	b := make([]byte, regionSectors*v.sector)
	if err := sanitize.ReadFull(w, b, off); err != nil {
		return err
	}
	body, seal := b[:sectorChecksum*v.sector], b[sectorChecksum*v.sector:]
	reserved := body[sectorReserved*v.sector:]
	if binary.LittleEndian.Uint32(seal) != bootSum(body) || len(bytes.Trim(reserved, "\x00")) == 0 {
		return nil
	}
	clear(reserved)
	sum := binary.LittleEndian.AppendUint32(nil, bootSum(body))
	copy(seal, bytes.Repeat(sum, len(seal)/len(sum)))
	_, err := w.WriteAt(b[sectorReserved*v.sector:], off+sectorReserved*v.sector)
	return err
}
