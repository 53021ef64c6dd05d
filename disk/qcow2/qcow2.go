// Package qcow2 reads and writes QEMU's copy-on-write format, as described in
// docs/interop/qcow2.rst of QEMU.
//
// The reader knows versions 2 and 3, clusters compressed with deflate and
// zstd, zero clusters, extended L2 entries, chains of backing files and
// external data files. Of an image with internal snapshots it reads the active
// state. One that is encrypted is refused.
//
// The writer makes version 3 with clusters of 64 KiB, uncompressed or
// compressed on all cores. The file is a function of the content: it does not
// depend on timing or on how writes were split.
package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/fault"
)

// Magic is what an image begins with.
const Magic = "QFI\xfb"

// Offsets in the header (qcow2.rst "Header").
const (
	offVersion        = 4
	offBackingOffset  = 8
	offBackingSize    = 16
	offClusterBits    = 20
	offSize           = 24
	offCrypt          = 32
	offL1Size         = 36
	offL1Offset       = 40
	offRefTableOffset = 48
	offRefTableSize   = 56 // in clusters
	offIncompatible   = 72
	offRefcountOrder  = 96
	offHeaderLength   = 100
	offCompression    = 104

	headerV2 = 72
	headerV3 = 112
)

// Incompatible features.
const (
	featureDirty       = 1 << 0 // refcounts may be wrong, which only matters to writers
	featureCorrupt     = 1 << 1
	featureDataFile    = 1 << 2
	featureCompression = 1 << 3
	featureExtendedL2  = 1 << 4
)

// Fields of L1 and L2 entries.
const (
	offsetMask     = 0x00fffffffffffe00
	flagCopied     = 1 << 63
	flagCompressed = 1 << 62
	flagZero       = 1 << 0
)

const (
	minClusterBits = 9
	maxClusterBits = 21       // QEMU's own limit
	maxL1Bytes     = 32 << 20 // QEMU's own limit
)

// header is what a reader needs of the header.
type header struct {
	clusterBits uint
	size        int64
	l1Size      int64 // entries
	l1Offset    int64
	length      int64 // of the header, in bytes
	extended    bool
	external    bool // the data lie in another file
	compression Compression

	backingOffset, backingSize int64
}

func parseHeader(r io.ReaderAt, n int64) (header, error) {
	p := make([]byte, headerV3)
	if got, err := r.ReadAt(p, 0); got < headerV2 || err != nil && !errors.Is(err, io.EOF) {
		return header{}, fmt.Errorf("reading the header: %d bytes of %d: %w", got, headerV2, orUnexpected(err))
	}
	if string(p[:4]) != Magic {
		return header{}, errors.New("it has no qcow2 magic")
	}
	word := func(off int) uint32 { return binary.BigEndian.Uint32(p[off:]) }
	long := func(off int) uint64 { return binary.BigEndian.Uint64(p[off:]) }
	h := header{
		clusterBits: uint(word(offClusterBits)), size: int64(long(offSize)),
		l1Size: int64(word(offL1Size)), l1Offset: int64(long(offL1Offset)), length: headerV2,
		backingOffset: int64(min(long(offBackingOffset), 1<<62)), backingSize: int64(word(offBackingSize)),
	}
	var features uint64
	switch version := word(offVersion); version {
	case 2:
	case 3:
		features = long(offIncompatible)
		h.length = int64(word(offHeaderLength))
		if word(offHeaderLength) > offCompression && features&featureCompression != 0 {
			h.compression = Compression(p[offCompression]) + Deflate
		}
	default:
		return header{}, refuse("it has version %d; 2 and 3 are known", version)
	}
	if err := refuseFeatures(word, features); err != nil {
		return header{}, err
	}
	h.extended = features&featureExtendedL2 != 0
	h.external = features&featureDataFile != 0
	if h.compression == None {
		h.compression = Deflate
	}
	return h, h.check(n)
}

// refuseFeatures refuses images that need what is not known.
func refuseFeatures(word func(int) uint32, features uint64) error {
	const known = featureDirty | featureDataFile | featureCompression | featureExtendedL2
	switch {
	case word(offCrypt) != 0:
		return refuse("it is encrypted")
	case features&featureCorrupt != 0:
		return fault.New(fault.Input, errors.New("it is marked as corrupt"), "repair it with `qemu-img check -r all`")
	case features&^known != 0:
		return refuse("it needs features %#x, which are not known", features&^known)
	}
	return nil
}

// refuse is an error for an image that is fine and not understood.
func refuse(format string, args ...any) error {
	return fault.New(fault.Input, fmt.Errorf(format, args...),
		"convert it into a plain image first: `qemu-img convert -O raw IN OUT`")
}

// check bounds what the header tells; n is the length of the file.
func (h header) check(n int64) error {
	least := uint(minClusterBits)
	if h.extended {
		least = 14 // a subcluster is a sector at least
	}
	switch {
	case h.clusterBits < least || h.clusterBits > maxClusterBits:
		return fmt.Errorf("its clusters have 2^%d bytes", h.clusterBits)
	case h.size < 0:
		return fmt.Errorf("its size is %d bytes", uint64(h.size))
	case h.compression != Deflate && h.compression != Zstd:
		return refuse("its clusters are compressed in a way that is not known (type %d)", h.compression-Deflate)
	case h.l1Size*8 > maxL1Bytes || h.l1Offset < 0 || h.l1Offset%8 != 0 || h.l1Offset > n || h.l1Size*8 > n-h.l1Offset:
		return fmt.Errorf("its L1 table, %d entries at %d, lies beyond the file of %d bytes", h.l1Size, h.l1Offset, n)
	case h.l1Size < divUp(h.size, h.l1Span()):
		return fmt.Errorf("its L1 table of %d entries is too small for %d bytes", h.l1Size, h.size)
	}
	return nil
}

func (h header) cluster() int64 { return 1 << h.clusterBits }

// entryWords is the number of 64-bit words in an L2 entry.
func (h header) entryWords() int64 {
	if h.extended {
		return 2
	}
	return 1
}

// l2Entries is the number of entries in an L2 table.
func (h header) l2Entries() int64 { return h.cluster() / 8 / h.entryWords() }

// l1Span is the number of bytes that an L1 entry stands for.
func (h header) l1Span() int64 { return h.l2Entries() << h.clusterBits }

func orUnexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// divUp divides and rounds up; it does not overflow.
func divUp(a, b int64) int64 {
	if a%b != 0 {
		return a/b + 1
	}
	return a / b
}
