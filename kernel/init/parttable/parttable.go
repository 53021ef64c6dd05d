// Package parttable finds a partition of a disk by its PARTUUID, the name that
// the kernel's root= and the mounts of guest.json use.
//
// The kernels in use do not tell user space the PARTUUID of a partition, so
// init reads the tables itself. Two kinds are known: GPT (UEFI Specification
// 2.10, section 5.3), whose PARTUUID is the entry's unique GUID, and MBR, whose
// PARTUUID is the disk signature and the partition's number ("1a2b3c4d-02").
// Reading is bounded whatever the table says. [Grow], which makes the last
// partition of a disk larger, is all that writes.
package parttable

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ErrNotFound is returned when the disk has a table that does not hold the
// partition, or no table at all.
var ErrNotFound = errors.New("no such partition")

// Bounds of what a table may claim.
const (
	maxEntries   = 1024
	minEntrySize = 128
	maxEntrySize = 4096
)

// Find returns the number of the partition named by partuuid, counted from 1
// as the kernel does. The block size is the disk's logical block size in
// bytes; 0 means 512. The letters of partuuid may be of either case.
func Find(disk io.ReaderAt, blockSize int64, partuuid string) (int, error) {
	if blockSize == 0 {
		blockSize = 512
	}
	if blockSize < 512 || blockSize > 65536 {
		return 0, fmt.Errorf("reading the partition table: block size of %d bytes", blockSize)
	}
	if guid, ok := parseGUID(partuuid); ok {
		return findGPT(disk, blockSize, guid)
	}
	if signature, number, ok := parseMBR(partuuid); ok {
		return findMBR(disk, signature, number)
	}
	return 0, fmt.Errorf("PARTUUID %q: neither a GUID nor a disk signature and number", partuuid)
}

// findGPT looks in the primary table only: with that one broken the kernel
// itself shows partitions only when it is told to trust the backup.
func findGPT(disk io.ReaderAt, blockSize int64, guid [16]byte) (int, error) {
	var header [92]byte
	if _, err := disk.ReadAt(header[:], blockSize); err != nil {
		return 0, fmt.Errorf("reading the GPT header: %w", err)
	}
	if string(header[:8]) != "EFI PART" {
		return 0, ErrNotFound
	}
	first := binary.LittleEndian.Uint64(header[72:])
	count := binary.LittleEndian.Uint32(header[80:])
	size := binary.LittleEndian.Uint32(header[84:])
	if first > 1<<40 || count > maxEntries || size < minEntrySize || size > maxEntrySize {
		return 0, fmt.Errorf("reading the GPT header: %d entries of %d bytes at block %d", count, size, first)
	}
	var entry [32]byte // type and unique GUID
	for i := range int64(count) {
		if _, err := disk.ReadAt(entry[:], int64(first)*blockSize+i*int64(size)); err != nil {
			return 0, fmt.Errorf("reading GPT entry %d: %w", i+1, err)
		}
		if [16]byte(entry[:16]) != [16]byte{} && [16]byte(entry[16:]) == guid {
			return int(i) + 1, nil
		}
	}
	return 0, ErrNotFound
}

// findMBR trusts the number in the name: the kernel numbers logical partitions
// by walking the chain, and the caller asks the kernel whether it has one of
// that number.
func findMBR(disk io.ReaderAt, signature uint32, number int) (int, error) {
	var sector [512]byte
	if _, err := disk.ReadAt(sector[:], 0); err != nil {
		return 0, fmt.Errorf("reading the MBR: %w", err)
	}
	if sector[510] != 0x55 || sector[511] != 0xaa ||
		binary.LittleEndian.Uint32(sector[440:]) != signature {
		return 0, ErrNotFound
	}
	if number <= 4 && sector[446+16*(number-1)+4] == 0 {
		return 0, ErrNotFound
	}
	return number, nil
}

// parseGUID reads the text form of a GUID into its bytes on disk, where the
// first three groups are little endian (UEFI Specification 2.10, appendix A).
func parseGUID(s string) (guid [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return guid, false
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		return guid, false
	}
	for i, from := range [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		guid[i] = b[from]
	}
	return guid, true
}

func parseMBR(s string) (signature uint32, number int, ok bool) {
	if len(s) != 11 || s[8] != '-' {
		return 0, 0, false
	}
	sig, err1 := strconv.ParseUint(s[:8], 16, 32)
	num, err2 := strconv.ParseUint(s[9:], 16, 8)
	if err1 != nil || err2 != nil || num == 0 {
		return 0, 0, false
	}
	return uint32(sig), int(num), true
}
