// Package part reads and writes partition tables: GPT (UEFI specification,
// chapter 5) and MBR, with logical partitions when reading.
//
// [Parse] finds the table of a disk and verifies it: both GPT headers, all
// checksums, and that everything lies where it may. [Table.Write] makes a
// table, the same bytes for the same Table. [Table.Parts] tells to the byte
// what the table itself occupies, and which of that is unused: the account
// that sanitizing is drawn from. After unused parts were zeroed,
// [Table.Reseal] corrects the checksums over them.
package part

import (
	"errors"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
)

// ErrNotFound is returned by Parse for a disk without a partition table.
var ErrNotFound = errors.New("no partition table")

// Scheme is a kind of partition table.
type Scheme string

// The schemes.
const (
	GPT Scheme = "gpt"
	MBR Scheme = "mbr"
)

// Table is a partition table.
type Table struct {
	Scheme Scheme
	// SectorSize is the unit of addresses in the table, in bytes: 512 or
	// 4096. Write takes 0 for 512.
	SectorSize int64
	DiskGUID   GUID // GPT only
	// Signature is the 32-bit disk signature in the MBR.
	Signature uint32
	// BootCode is the code in the first 440 bytes. Parse fills it in. Write
	// keeps what the disk has when it is nil.
	BootCode []byte
	Entries  []Entry // ascending by index
	// Notes tell what is odd about a table that was parsed: a damaged copy,
	// a hybrid MBR. A table without notes is exactly as it should be.
	Notes []string

	parts []Part
	gpt   []header // the headers that were found intact
}

// Entry is a partition.
type Entry struct {
	// Index is the number of the partition, from 1; logical partitions of an
	// MBR begin at 5. Write numbers entries of index 0 by their position.
	Index int
	Name  string // GPT only: up to 36 UTF-16 units
	Type  GUID   // GPT only
	// MBRType is the partition type of an MBR entry.
	MBRType byte
	GUID    GUID // GPT only: of this very partition
	// Attributes are the GPT's. An active MBR partition has LegacyBoot set.
	Attributes uint64
	disk.Extent
}

// Attributes of partitions (UEFI table 5-8).
const (
	Required   uint64 = 1 << 0 // the platform needs it
	NoBlockIO  uint64 = 1 << 1 // firmware leaves it alone
	LegacyBoot uint64 = 1 << 2 // boot loaders of legacy BIOS look here
)

// The types of GPT partitions that imgbuild makes.
var (
	TypeESP         = mustGUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b") // EFI system partition
	TypeLinux       = mustGUID("0fc63daf-8483-4772-8e79-3d69d8477de4") // Linux filesystem data
	TypeRootX8664   = mustGUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709") // Linux root, x86-64
	TypeBIOSBoot    = mustGUID("21686148-6449-6e6f-744e-656564454649") // core image of GRUB
	TypeLinuxSwap   = mustGUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f") // swap
	TypeMSBasicData = mustGUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7") // Windows data
)

// The types of MBR partitions that imgbuild makes.
const (
	MBRLinux byte = 0x83
	MBRFAT32 byte = 0x0c // FAT32, LBA
	MBRSwap  byte = 0x82
	MBRESP   byte = 0xef
)

// Part is a run of bytes that belongs to the table. Unused ones hold nothing
// that the table needs.
type Part struct {
	disk.Extent
	Kind string // "primary header", "unused backup entries"
	Used bool
}

// Parts returns what a parsed table occupies: ascending, disjoint.
func (t *Table) Parts() []Part { return slices.Clone(t.parts) }

// addPart notes a part, unless it is empty.
func (t *Table) addPart(off, end int64, used bool, kind string) {
	if end > off {
		t.parts = append(t.parts, Part{Extent: disk.Extent{Off: off, Len: end - off}, Kind: kind, Used: used})
	}
}

// finish orders the parts and checks that neither they nor the partitions
// overlap.
func (t *Table) finish() error {
	slices.SortFunc(t.parts, func(a, b Part) int { return compare(a.Extent, b.Extent) })
	for i := 1; i < len(t.parts); i++ {
		if t.parts[i].Off < t.parts[i-1].End() {
			return fmt.Errorf("the %s overlaps the %s", t.parts[i].Kind, t.parts[i-1].Kind)
		}
	}
	order := slices.SortedFunc(slices.Values(t.Entries), func(a, b Entry) int { return compare(a.Extent, b.Extent) })
	i := 0
	for j, e := range order {
		if j > 0 && e.Off < order[j-1].End() {
			return fmt.Errorf("partitions %d and %d overlap", order[j-1].Index, e.Index)
		}
		for i < len(t.parts) && t.parts[i].End() <= e.Off {
			i++
		}
		if i < len(t.parts) && t.parts[i].Off < e.End() {
			return fmt.Errorf("partition %d overlaps the %s", e.Index, t.parts[i].Kind)
		}
	}
	return nil
}

func compare(a, b disk.Extent) int {
	switch {
	case a.Off < b.Off:
		return -1
	case a.Off > b.Off:
		return 1
	}
	return 0
}

// mustGUID parses a constant.
func mustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}
