package seed

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
)

// Disk is a disk that a filesystem is made on. Sync returns when what was
// written is on the medium.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// sector is what every disk writes whole or not at all, in bytes.
const sector = 512

// Find is what is at the beginning of a disk.
type Find int

// What [Look] finds.
const (
	Other Find = iota // or nothing
	Begun             // Sow was interrupted, on a disk that was blank before
	Made              // the filesystem
)

// Look tells whether a disk has the filesystem with that UUID.
func Look(disk io.ReaderAt, id ID) (Find, error) {
	first := make([]byte, BlockSize)
	if _, err := disk.ReadAt(first, 0); err != nil {
		return Other, fmt.Errorf("reading its first block: %w", err)
	}
	if bytes.Equal(first[:sector], mark(id)) {
		return Begun, nil
	}
	if got, ok := filesystem(first); ok && got == id {
		return Made, nil
	}
	return Other, nil
}

// mark is the first sector of a disk on which the filesystem is being made. An
// ext4 filesystem leaves it to boot loaders.
func mark(id ID) []byte {
	b := make([]byte, sector)
	copy(b, "imgbuild: making filesystem "+hex.EncodeToString(id[:])+"\n")
	return b
}

// Sow makes the filesystem on a blank disk, or once more on one that [Look]
// calls Begun. Power may fail at any moment: the mark is there before anything
// else, and goes when everything else is there, each by the write of one sector.
func (s *Seed) Sow(disk Disk) error {
	first := s.blocks[0].data
	steps := []func() error{
		func() error { return write(disk, mark(s.ID), 0) },
		func() error {
			for _, b := range s.blocks[1:] {
				if err := write(disk, b.data, b.number*BlockSize); err != nil {
					return err
				}
			}
			return write(disk, first[sector:], sector)
		},
		func() error { return write(disk, first[:sector], 0) },
	}
	for _, step := range steps {
		err := step()
		if err == nil {
			err = disk.Sync()
		}
		if err != nil {
			return fmt.Errorf("making the filesystem: %w", err)
		}
	}
	return nil
}

func write(disk io.WriterAt, b []byte, at int64) error {
	_, err := disk.WriteAt(b, at)
	return err
}

// How a disk is looked at. Where the seed will lie must be zeros, for what of it
// is zero is not written.
const (
	headSpan = MaxSize
	tailSpan = 16 << 20
	samples  = 8192
	sample   = 64 << 10
)

// Blank reports whether a disk of that size, in bytes, holds zeros only. Of one
// with more than 512 MiB it reads the first 128 MiB and the last 16, where
// filesystems, partition tables, volume managers and RAID have their labels, and
// 8192 pieces of 64 KiB between.
func Blank(disk io.ReaderAt, size int64) (bool, error) {
	if size <= samples*sample {
		return allZero(disk, 0, size)
	}
	if blank, err := allZero(disk, 0, headSpan); err != nil || !blank {
		return false, err
	}
	tail := (size - tailSpan) / BlockSize * BlockSize
	if blank, err := allZero(disk, tail, size); err != nil || !blank {
		return false, err
	}
	step := size / samples / BlockSize * BlockSize
	for at := step * (headSpan / step); at < tail; at += step {
		if blank, err := allZero(disk, at, min(at+sample, tail)); err != nil || !blank {
			return false, err
		}
	}
	return true, nil
}

// allZero reads from one offset to another.
func allZero(disk io.ReaderAt, from, to int64) (bool, error) {
	buf := make([]byte, sample)
	for ; from < to; from += sample {
		piece := buf[:min(sample, to-from)]
		if _, err := disk.ReadAt(piece, from); err != nil {
			return false, fmt.Errorf("reading from byte %d: %w", from, err)
		}
		if !zero(piece) {
			return false, nil
		}
	}
	return true, nil
}
