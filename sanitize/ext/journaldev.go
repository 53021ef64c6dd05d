package ext

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// incompatJournalDev marks a device that holds nothing but a journal.
const incompatJournalDev = 0x8

// journalDevice is a device with the journal of another filesystem: a
// superblock like that of a filesystem, and the log from the next block on.
type journalDevice struct {
	r        disk.Reader
	log, end int64 // in bytes
	label    string
}

// openJournalDevice returns nil when r is no such device. A log with pending
// transactions belongs to a filesystem that is elsewhere.
func openJournalDevice(r disk.Reader) (sanitize.Filesystem, error) {
	if r.Size() < superOff+superLen {
		return nil, nil
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, superOff); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != extMagic || le.Uint32(b[0x60:])&incompatJournalDev == 0 {
		return nil, nil
	}
	logBlock := le.Uint32(b[0x18:])
	if logBlock > 6 {
		return nil, fmt.Errorf("block size 2^%d", 10+logBlock)
	}
	block := int64(1024) << logBlock
	j := &journalDevice{r: r, label: string(bytes.TrimRight(b[0x78:0x88], "\x00"))}
	j.log = superOff/block*block + block
	j.end = int64(le.Uint32(b[0x4:])) * block
	if j.log+journalSuperLen > j.end || j.end > r.Size() {
		return nil, fmt.Errorf("a journal of %d bytes in a volume of %d", j.end, r.Size())
	}
	return j, checkLog(r, j.log)
}

// Type returns "jbd", as blkid calls it.
func (j *journalDevice) Type() string { return "jbd" }

// Label returns the volume name.
func (j *journalDevice) Label() string { return j.label }

// Regions accounts for every byte; see the package comment.
func (j *journalDevice) Regions(_ context.Context, emit func(sanitize.Region) error) error {
	const owner = "journal"
	piece := func(off, end int64, c sanitize.Class, owner string) sanitize.Region {
		return sanitize.Region{Extent: disk.Extent{Off: off, Len: end - off}, Class: c, Owner: owner}
	}
	pieces := []sanitize.Region{
		piece(0, superOff, sanitize.BootCode, "boot block"),
		piece(superOff, superOff+superLen, sanitize.Metadata, "superblock"),
		piece(superOff+superLen, j.log, sanitize.Stale, "superblock tail"),
		piece(j.log, j.log+journalSuperLen, sanitize.Metadata, owner),
		piece(j.log+journalSuperLen, j.end, sanitize.Stale, owner),
	}
	if err := sanitize.Tile(pieces, 0, j.end, emit, sanitize.Fill(sanitize.Unknown, owner, emit)); err != nil {
		return err
	}
	return sanitize.Tail(j.r, j.end, emit)
}
