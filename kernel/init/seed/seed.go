// Package seed makes the data filesystem on a blank disk, at the first boot.
//
// A guest has no mke2fs. What it has is a seed: the blocks of a small ext4
// filesystem, made by mke2fs with the appliance, that are not zero. [Sow] lays
// them onto a disk of which [Blank] says that nothing is on it, and the kernel
// then grows the filesystem to the disk's end. [Look] tells what a disk holds:
// the filesystem, a beginning that a power cut left, or something else.
//
// The file is a line of magic, the size of the filesystem in bytes and the
// number of blocks, then for each block its number and its bytes, and last the
// CRC-32C of all that. Numbers are little endian, of 64 bits; the CRC has 32.
// The package is compiled into the guest: it imports only what is small.
package seed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// BlockSize is that of the filesystem, in bytes.
const BlockSize = 4096

const (
	magic = "imgbuild seed 1\n"
	// MaxSize is the largest filesystem of a seed, in bytes, and maxBlocks
	// bounds the blocks that are not zero.
	MaxSize   = 128 << 20
	maxBlocks = 4096
)

// The superblock (fs/ext4/ext4.h, struct ext4_super_block), and what is needed
// of it.
const (
	superAt    = 1024
	superMagic = superAt + 56
	superUUID  = superAt + 104
	superEnd   = superAt + 1024
)

// ID is the UUID of a filesystem.
type ID [16]byte

// Seed is a small filesystem in memory.
type Seed struct {
	Size   int64 // bytes
	ID     ID
	blocks []block
}

type block struct {
	number int64
	data   []byte
}

// Pack writes the seed of a filesystem of that size.
func Pack(w io.Writer, image io.ReaderAt, size int64) error {
	if size <= 0 || size > MaxSize || size%BlockSize != 0 {
		return fmt.Errorf("packing a seed: %d bytes are no size for it", size)
	}
	var blocks []block
	for n := range size / BlockSize {
		data := make([]byte, BlockSize)
		if _, err := image.ReadAt(data, n*BlockSize); err != nil {
			return fmt.Errorf("packing a seed: %w", err)
		}
		if !zero(data) {
			blocks = append(blocks, block{n, data})
		}
	}
	if len(blocks) > maxBlocks {
		return fmt.Errorf("packing a seed: %d blocks are not zero", len(blocks))
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := io.MultiWriter(w, sum)
	head := binary.LittleEndian.AppendUint64([]byte(magic), uint64(size))
	_, err := out.Write(binary.LittleEndian.AppendUint64(head, uint64(len(blocks))))
	for _, b := range blocks {
		if err == nil {
			_, err = out.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(b.number)), b.data...))
		}
	}
	if err == nil {
		err = binary.Write(w, binary.LittleEndian, sum.Sum32())
	}
	if err != nil {
		return fmt.Errorf("packing a seed: %w", err)
	}
	return nil
}

// Read reads a seed. It must begin with a block that holds the superblock, and
// its blocks must be in order.
func Read(r io.Reader) (*Seed, error) {
	s, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("reading the seed: %w", err)
	}
	return s, nil
}

func read(r io.Reader) (*Seed, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	in := io.TeeReader(r, sum)
	head := make([]byte, len(magic)+16)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(head[len(magic):])
	count := binary.LittleEndian.Uint64(head[len(magic)+8:])
	if string(head[:len(magic)]) != magic || size == 0 || size > MaxSize || size%BlockSize != 0 || count == 0 || count > maxBlocks {
		return nil, errors.New("it does not begin like one")
	}
	s := &Seed{Size: int64(size)}
	last := int64(-1)
	for range count {
		record := make([]byte, 8+BlockSize)
		if _, err := io.ReadFull(in, record); err != nil {
			return nil, err
		}
		n := binary.LittleEndian.Uint64(record)
		if n >= size/BlockSize || int64(n) <= last {
			return nil, fmt.Errorf("its block %d is out of place", n)
		}
		last = int64(n)
		s.blocks = append(s.blocks, block{last, record[8:]})
	}
	if err := checkSum(r, sum); err != nil {
		return nil, err
	}
	first := s.blocks[0]
	id, ok := filesystem(first.data)
	if !ok || first.number != 0 || !zero(first.data[:superAt]) {
		return nil, errors.New("it is none of an ext4 filesystem")
	}
	s.ID = id
	return s, nil
}

func checkSum(r io.Reader, sum hash.Hash32) error {
	var want [4]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(want[:]) != sum.Sum32() {
		return errors.New("its checksum does not hold")
	}
	return nil
}

// filesystem returns the UUID in the superblock of an ext filesystem, given its
// first block.
func filesystem(first []byte) (ID, bool) {
	if binary.LittleEndian.Uint16(first[superMagic:]) != 0xef53 {
		return ID{}, false
	}
	return ID(first[superUUID:]), true
}

var zeros [BlockSize]byte

// zero reports whether all of b is, which is a block at most or any number of
// whole ones.
func zero(b []byte) bool {
	for len(b) > BlockSize {
		if !bytes.Equal(b[:BlockSize], zeros[:]) {
			return false
		}
		b = b[BlockSize:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
