// Package erofs accounts for EROFS filesystems, uncompressed and compressed.
//
// The layout is that of the kernel's fs/erofs/erofs_fs.h, cited below as FORMAT,
// as mkfs.erofs 1.5 writes it: inodes of 32 or 64 bytes among which small tails
// of files are packed, and blocks of data.
//
// EROFS has no map of its free space, so everything is reached from the root:
// files, the packed inode that holds fragments, and shared attributes. Bytes of
// a block that nothing reaches are slack, blocks that nothing reaches are free.
// Blocks of compressed data are live whole: the decompressor reads their
// padding.
//
// An image that needs other devices, or a feature that this package does not
// know, is unrecognised. Images with algorithms other than LZ4 are accounted
// for, but their files cannot be read.
package erofs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Fields and flags of the superblock, FORMAT struct erofs_super_block.
const (
	superOff   = 1024
	superLen   = 128
	superExt   = 16 // bytes in an extension slot
	superMagic = 0xe0f5e1e2
	sumOff     = 4 // of the checksum

	compatChecksum = 0x1

	incompatZeroPadding = 0x1
	incompatConfigs     = 0x2
	incompatChunked     = 0x4
	incompatHead2       = 0x8 // shared with the table of devices
	incompatInlineTail  = 0x10
	incompatFragments   = 0x20 // shared with deduplication
	incompatKnown       = incompatZeroPadding | incompatConfigs | incompatChunked | incompatHead2 |
		incompatInlineTail | incompatFragments
)

// Driver recognises EROFS.
type Driver struct{}

// Name returns "erofs".
func (Driver) Name() string { return "erofs" }

// Open reads the superblock.
func (Driver) Open(_ context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	f, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	if f.algorithms&^(1<<algorithmLZ4) != 0 {
		return f, nil
	}
	return readable{f}, nil
}

// filesystem is the superblock of an image, sizes in bytes.
type filesystem struct {
	r           disk.Reader
	block       int64
	size        int64 // of the filesystem
	meta        int64 // where inode 0 would lie
	shared      int64 // where shared attributes begin
	root        uint64
	packed      uint64 // inode with fragments, 0 for none
	head        int64  // end of the superblock and what follows it
	buildTime   int64  // seconds
	buildNsec   int64
	zeroPadding bool
	checksum    bool
	algorithms  uint16 // a bit for each
	label       string
}

// readable is a filesystem whose files can be read.
type readable struct{ *filesystem }

// Type returns "erofs".
func (f *filesystem) Type() string { return "erofs" }

// Label returns the volume name.
func (f *filesystem) Label() string { return f.label }

func readSuper(r disk.Reader) (*filesystem, error) {
	if r.Size() < superOff+superLen {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, superOff); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(b) != superMagic {
		return nil, sanitize.ErrNotRecognized
	}
	incompat, devices := le.Uint32(b[80:]), le.Uint16(b[86:])
	if incompat&^incompatKnown != 0 || devices != 0 {
		return nil, fmt.Errorf("features %#x and %d more devices: %w", incompat&^incompatKnown, devices, sanitize.ErrNotRecognized)
	}
	if b[12] < 9 || b[12] > 16 {
		return nil, fmt.Errorf("block size 2^%d", b[12])
	}
	f := &filesystem{
		r: r, block: 1 << b[12],
		root: uint64(le.Uint16(b[14:])), buildTime: int64(le.Uint64(b[24:])), buildNsec: int64(le.Uint32(b[32:])),
		zeroPadding: incompat&incompatZeroPadding != 0,
		checksum:    le.Uint32(b[8:])&compatChecksum != 0,
		label:       string(bytes.TrimRight(b[64:80], "\x00")),
		head:        superOff + superLen + int64(b[13])*superExt,
	}
	f.size = int64(le.Uint32(b[36:])) * f.block
	f.meta = int64(le.Uint32(b[40:])) * f.block
	f.shared = int64(le.Uint32(b[44:])) * f.block
	if incompat&incompatFragments != 0 {
		f.packed = le.Uint64(b[96:])
	}
	if f.size > r.Size() || f.size < f.head || f.meta > f.size || f.shared > f.size {
		return nil, fmt.Errorf("a filesystem of %d bytes does not fit into %d", f.size, r.Size())
	}
	if incompat&incompatConfigs != 0 {
		f.algorithms = le.Uint16(b[84:])
		return f, f.readConfigs()
	}
	return f, nil
}

// readConfigs skips the configuration of each algorithm, which follow the
// superblock: a length of 16 bits, then as many bytes.
func (f *filesystem) readConfigs() error {
	for range bits.OnesCount16(f.algorithms) {
		b, err := f.read(f.head, 2)
		if err != nil {
			return fmt.Errorf("reading the configuration of an algorithm: %w", err)
		}
		f.head += 2 + int64(binary.LittleEndian.Uint16(b))
	}
	if f.head > f.size {
		return fmt.Errorf("configurations end at byte %d of %d", f.head, f.size)
	}
	return nil
}

// read returns n bytes at off, which must lie inside the filesystem.
func (f *filesystem) read(off, n int64) ([]byte, error) { return f.readInto(nil, off, n) }

// readInto is read into the room of buf, if it has enough.
func (f *filesystem) readInto(buf []byte, off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > f.size || n > f.size-off {
		return nil, fmt.Errorf("%d bytes at byte %d lie outside of %d", n, off, f.size)
	}
	b := slices.Grow(buf[:0], int(n))[:n]
	return b, sanitize.ReadFull(f.r, b, off)
}

// roundUp rounds n up to a multiple of a power of two.
func roundUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }
