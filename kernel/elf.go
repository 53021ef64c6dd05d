package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxNotes bounds a segment of notes; a kernel's is below 1 kB.
	maxNotes = 1 << 20
	// maxConfig bounds an embedded configuration; Debian's is 260 kB.
	maxConfig = 4 << 20
	// pvEntryNote is XEN_ELFNOTE_ENTRY, where a paravirtual guest begins, and
	// physEntryNote XEN_ELFNOTE_PHYS32_ENTRY, where PVH enters
	// (include/xen/interface/elfnote.h).
	pvEntryNote   = 1
	physEntryNote = 18
)

// readELF fills in what the ELF tells: the entries by Xen's notes, the version
// and the configuration.
func (im *Image) readELF(r io.ReaderAt, size int64) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("it is for %v", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNotes {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), notes); err != nil {
			return fmt.Errorf("reading its notes: %w", err)
		}
		if hasNote(notes, "Xen", physEntryNote) {
			im.PVH = true
		}
		if hasNote(notes, "Xen", pvEntryNote) {
			im.XenPV = true
		}
	}
	return im.scan(io.NewSectionReader(r, 0, size))
}

// hasNote looks for a note: three words, length of the name, length of the
// value and type, then both, padded to four bytes (System V ABI, "Note
// Section").
func hasNote(notes []byte, owner string, kind uint32) bool {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		nameLen, valueLen, k := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		notes = notes[12:]
		nameEnd := (nameLen + 3) &^ 3
		end := nameEnd + (valueLen+3)&^3
		if nameEnd > uint64(len(notes)) || end > uint64(len(notes)) {
			return false
		}
		if k == kind && string(bytes.TrimRight(notes[:nameLen], "\x00")) == owner {
			return true
		}
		notes = notes[end:]
	}
	return false
}

// Marks in the kernel's data: the banner (init/version-timestamp.c) and the
// configuration, gzip between two marks (kernel/configs.c).
const (
	bannerMark = "Linux version "
	configMark = "IKCFG_ST"
)

// scanWindow is how much is searched at a time.
const scanWindow = 1 << 20

// scan looks for the marks from the first byte to the last.
func (im *Image) scan(r *io.SectionReader) error {
	buf := make([]byte, scanWindow+maxVersionString)
	for off := int64(0); off < r.Size(); off += scanWindow {
		n, err := r.ReadAt(buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("searching the kernel: %w", err)
		}
		window := buf[:n]
		if i := bytes.Index(window, []byte(bannerMark)); i >= 0 && im.Version == "" {
			if v := firstWord(window[i+len(bannerMark):]); v != "" && v[0] >= '0' && v[0] <= '9' {
				im.Version = v
			}
		}
		if i := bytes.Index(window, []byte(configMark)); i >= 0 && im.Config == nil {
			im.Config = readConfig(io.NewSectionReader(r, off+int64(i+len(configMark)), maxConfig))
		}
	}
	return nil
}

// readConfig unpacks an embedded configuration. The mark may also stand in a
// kernel as a mere string: what is no configuration is nil.
func readConfig(r io.Reader) map[string]string {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil
	}
	z.Multistream(false)
	config, err := ParseConfig(io.LimitReader(z, maxConfig))
	if err != nil {
		return nil
	}
	return config
}
