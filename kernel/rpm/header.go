package rpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Tags of the headers (rpm's include/rpm/rpmtag.h). Numbers below 1000 belong
// to the signature.
const (
	tagHeaderSHA256     = 273
	tagName             = 1000
	tagVersion          = 1001
	tagRelease          = 1002
	tagEpoch            = 1003
	tagArch             = 1022
	tagPayloadDigest    = 5092
	tagPayloadAlgorithm = 5093

	algorithmSHA256 = 8 // RFC 9580 §9.5
)

// Types of entries.
const (
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
)

// Bounds of a header, in bytes of its store; that of Fedora's kernel-modules
// takes 2 MB. rpm's own bounds are 64 and 256 MiB.
const (
	maxSignature = 1 << 20
	maxHeader    = 64 << 20
	maxEntries   = 1 << 16
	maxText      = 4096
)

const (
	headerMagic = "\x8e\xad\xe8\x01\x00\x00\x00\x00" // with version 1 and four reserved bytes
	introSize   = 16                                 // magic, number of entries, size of the store
	entrySize   = 16                                 // tag, type, offset, count
)

// header is an index of entries and the store that they point into.
type header struct {
	index  []byte
	store  []byte
	size   int    // of the store, bytes
	sha256 string // of the whole header, hex
}

// readHeader reads a header whose store has limit bytes at most. Memory grows
// with what is there, not with what the header claims.
func readHeader(r io.Reader, limit uint32) (*header, error) {
	sum := sha256.New()
	in := io.TeeReader(r, sum)
	var intro [introSize]byte
	if _, err := io.ReadFull(in, intro[:]); err != nil {
		return nil, short(err)
	}
	if string(intro[:8]) != headerMagic {
		return nil, errors.New("it does not begin like a header")
	}
	entries, size := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if entries == 0 || entries > maxEntries || size > limit {
		return nil, fmt.Errorf("it claims %d entries and %d bytes", entries, size)
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, in, int64(entries)*entrySize+int64(size)); err != nil {
		return nil, short(err)
	}
	index, store := b.Bytes()[:entries*entrySize], b.Bytes()[entries*entrySize:]
	return &header{index: index, store: store, size: int(size), sha256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// entry returns the bytes of the store from where a tag's value begins.
func (h *header) entry(tag, kind uint32) []byte {
	be := binary.BigEndian
	for e := h.index; len(e) >= entrySize; e = e[entrySize:] {
		if be.Uint32(e) != tag {
			continue
		}
		off, count := be.Uint32(e[8:]), be.Uint32(e[12:])
		if be.Uint32(e[4:]) != kind || off >= uint32(len(h.store)) || count == 0 {
			return nil
		}
		return h.store[off:]
	}
	return nil
}

// text returns a string, or the first of an array of strings; "" when there is
// none, or one that does not end.
func (h *header) text(tag uint32) string {
	value := h.entry(tag, typeString)
	if value == nil {
		value = h.entry(tag, typeStringArray)
	}
	text, _, ok := bytes.Cut(value[:min(len(value), maxText)], []byte{0})
	if !ok {
		return ""
	}
	return string(text)
}

// number returns a 32-bit number; 0 when there is none.
func (h *header) number(tag uint32) uint32 {
	value := h.entry(tag, typeInt32)
	if len(value) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(value)
}
