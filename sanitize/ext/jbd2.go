package ext

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of a journal, which is big-endian: DISK section "Journal (jbd2)".
const (
	jbdDescriptor = 1
	jbdCommit     = 2
	jbdRevoke     = 5
	jbdHeader     = 12 // magic, type, sequence number

	offJBlockSize = 0xc
	offJLength    = 0x10
	offJFirst     = 0x14
	offJSequence  = 0x18
	offJCompat    = 0x24
	offJIncompat  = 0x28
	offJUUID      = 0x30
	offJFastCount = 0x54
	offJSum       = 0xfc

	jCompatChecksum  = 0x1 // of whole transactions, by another polynomial
	jIncompatRevoke  = 0x1
	jIncompat64Bit   = 0x2
	jIncompatAsync   = 0x4
	jIncompatV2      = 0x8
	jIncompatV3      = 0x10
	jIncompatFast    = 0x20
	jIncompatKnown   = jIncompatRevoke | jIncompat64Bit | jIncompatAsync | jIncompatV2 | jIncompatV3 | jIncompatFast
	tagEscaped       = 1 // the block began with the journal's magic
	tagSameUUID      = 2
	tagLast          = 8
	revokeHeader     = 16
	commitSum        = 0x10
	fastHead         = 9 // type of the first record of a fast commit
	fastHeadSequence = 8 // where its sequence number is
)

// log is a journal inside the filesystem.
type log struct {
	f           *filesystem
	m           fileMap
	super       []byte
	incompat    uint32
	first, last int64 // logical blocks that transactions may use: [first, last)
	seed        uint32
}

// openLog reads the journal's superblock.
func (f *filesystem) openLog(ctx context.Context) (*log, error) {
	n, err := f.inode(f.journalInum)
	if err != nil {
		return nil, fmt.Errorf("reading the journal's inode: %w", err)
	}
	l := &log{f: f, super: make([]byte, journalSuperLen)}
	if l.m, err = f.mapping(ctx, n, nil); err != nil {
		return nil, fmt.Errorf("mapping the journal: %w", err)
	}
	at, ok := l.m.physical(0)
	if !ok {
		return nil, errors.New("the journal has no first block")
	}
	if err := sanitize.ReadFull(f.r, l.super, at*f.block); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	word := func(off int) int64 { return int64(be.Uint32(l.super[off:])) }
	l.incompat = uint32(word(offJIncompat))
	l.first, l.last = word(offJFirst), word(offJLength)
	switch kind := word(journalOffType); {
	case word(0) != journalMagic || kind != journalSuperV1 && kind != journalSuperV2:
		return nil, errors.New("the journal has no superblock")
	case kind == journalSuperV1:
		l.incompat = 0
	case l.incompat&^jIncompatKnown != 0 || word(offJCompat)&jCompatChecksum != 0:
		return nil, refused("the journal has features that only e2fsck replays")
	}
	l.seed = crc(^uint32(0), l.super[offJUUID:offJUUID+16])
	if l.checksums() && crc(^uint32(0), withoutSum(l.super, offJSum)) != uint32(word(offJSum)) {
		return nil, refused("the checksum of the journal's superblock is wrong")
	}
	if l.incompat&jIncompatFast != 0 {
		l.last -= max(word(offJFastCount), 256) // JBD2_DEFAULT_FAST_COMMIT_BLOCKS
	}
	if word(offJBlockSize) != f.block || l.first < 1 || l.last <= l.first {
		return nil, fmt.Errorf("a journal with blocks [%d, %d) of %d bytes", l.first, l.last, word(offJBlockSize))
	}
	return l, nil
}

func (l *log) checksums() bool { return l.incompat&(jIncompatV2|jIncompatV3) != 0 }

// withoutSum is a copy of a block with a checksum of zero.
func withoutSum(b []byte, off int) []byte {
	c := append([]byte(nil), b...)
	clear(c[off : off+4])
	return c
}

// read returns a logical block of the journal, and where it lies.
func (l *log) read(logical int64) ([]byte, int64, error) {
	at, ok := l.m.physical(logical)
	if !ok {
		return nil, 0, fmt.Errorf("block %d of the journal is not mapped", logical)
	}
	b := make([]byte, l.f.block)
	return b, at, sanitize.ReadFull(l.f.r, b, at*l.f.block)
}

// next returns the block behind a logical one: the log is a ring.
func (l *log) next(logical int64) int64 {
	if logical+1 >= l.last {
		return l.first
	}
	return logical + 1
}

// tag is a block of a transaction: where it belongs, and its logical place in
// the journal.
type tag struct {
	block   int64
	logical int64
	escaped bool
	sum     uint32
}

// tagBytes is the size of a tag (kernel, journal_tag_bytes).
func (l *log) tagBytes() int {
	if l.incompat&jIncompatV3 != 0 {
		return 16
	}
	n := 8
	if l.incompat&jIncompat64Bit != 0 {
		n += 4
	}
	if l.incompat&jIncompatV2 != 0 {
		n += 2
	}
	return n
}

// tags parses a descriptor block that lies at a logical block, and returns the
// block behind the data that it describes.
func (l *log) tags(b []byte, logical int64) ([]tag, int64, error) {
	end := len(b)
	if l.checksums() {
		end -= 4
		if crc(l.seed, withoutSum(b, end)) != binary.BigEndian.Uint32(b[end:]) {
			return nil, 0, errBadSum
		}
	}
	be := binary.BigEndian
	var tags []tag
	at := l.next(logical)
	for off := jbdHeader; off+l.tagBytes() <= end; at = l.next(at) {
		p := b[off:]
		t := tag{block: int64(be.Uint32(p)), logical: at}
		var flags uint32
		if l.incompat&jIncompatV3 != 0 {
			flags, t.sum = be.Uint32(p[4:]), be.Uint32(p[12:])
		} else {
			flags, t.sum = uint32(be.Uint16(p[6:])), uint32(be.Uint16(p[4:]))
		}
		if l.incompat&jIncompat64Bit != 0 {
			t.block |= int64(be.Uint32(p[8:])) << 32
		}
		t.escaped = flags&tagEscaped != 0
		if t.block < 0 || t.block >= l.f.blocks {
			return nil, 0, fmt.Errorf("the journal has a block %d of %d", t.block, l.f.blocks)
		}
		tags = append(tags, t)
		off += l.tagBytes()
		if flags&tagSameUUID == 0 {
			off += 16
		}
		if flags&tagLast != 0 {
			return tags, l.next(at), nil
		}
	}
	return tags, at, nil
}

// revokes parses a block of revoked blocks.
func (l *log) revokes(b []byte) ([]int64, error) {
	be := binary.BigEndian
	end, size := int(be.Uint32(b[jbdHeader:])), 4
	limit := len(b)
	if l.checksums() {
		limit -= 4
		if crc(l.seed, withoutSum(b, limit)) != be.Uint32(b[limit:]) {
			return nil, errBadSum
		}
	}
	if end < revokeHeader || end > limit {
		return nil, fmt.Errorf("the journal revokes %d bytes of blocks", end)
	}
	if l.incompat&jIncompat64Bit != 0 {
		size = 8
	}
	var blocks []int64
	for off := revokeHeader; off+size <= end; off += size {
		if size == 8 {
			blocks = append(blocks, int64(be.Uint64(b[off:])))
		} else {
			blocks = append(blocks, int64(be.Uint32(b[off:])))
		}
	}
	return blocks, nil
}

// errBadSum ends a scan of the log: what follows was not written whole.
var errBadSum = errors.New("a checksum in the journal is wrong")
