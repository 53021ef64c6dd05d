// Package output turns an audited disk into appliances. It describes the
// appliance once, reads the disk once, and lets any number of formats write
// their files from that one pass.
//
// # Formats
//
// A [Format] is one folder below this one plus one line in the registry
// (output/formats). Its three moments are apart: New checks the options
// before anything is built, Begin opens the files, and the [Sink] it returns
// takes the disk and ends in Commit or Abort.
//
// # Files
//
// A format writes into a [Dir]: every file lies aside until all of the
// format's files are complete and the gate of the Dir is open, then they are
// renamed together. A writer that fails leaves nothing behind and does not
// disturb the others.
//
// Everything written is a function of the appliance and the disk: no clock,
// no random, no host name. This package imports neither builder nor stages.
package output

import (
	"context"
	"encoding/json"
	"time"

	"github.com/imgbuild/imgbuild/disk"
)

// Appliance describes what is wrapped.
type Appliance struct {
	Name        string // a file name stem: letters, digits, '-', '_', '.'
	Version     string
	Description string
	Vendor      string
	// Digest identifies the resolved recipe; UUIDs derive from it.
	Digest string
	// Created is the time that all files and descriptors carry.
	Created time.Time
	CPUs    int
	Memory  int64 // bytes
	// Firmware is "bios", "uefi", or "any" when the disk boots by both.
	Firmware string
	Ports    []int // TCP ports that the app listens on
	// Disks are further disks of the machine, for formats that describe one with
	// several.
	Disks []disk.Reader
	// About is what people are told and asked.
	About About
	// Kernel is for formats that boot it directly, without the disk's boot
	// loader.
	Kernel Kernel
	// Parts are the paths of files on this machine, of those parts that the
	// formats ask for: see [Asks].
	Parts map[Part]string
	// Tree is the root filesystem as an image for container engines; nil
	// when the caller has none.
	Tree Tree
}

// Kernel is what a direct boot needs.
type Kernel struct {
	Cmdline string
	// RAMCmdline is the command line for the parts without a disk.
	RAMCmdline string
	// Image is the path of the bzImage, Initramfs of the initramfs, on this
	// machine; empty when there is none.
	Image, Initramfs string
}

// Part is something of an appliance, beside the disk, that is made only for
// formats that ask for it.
type Part string

// The parts.
const (
	// EFI is the program on the boot partition that UEFI starts: the kernel
	// with its command line and initramfs. It is an empty file when the kernel
	// cannot be started by firmware.
	EFI Part = "efi"
	// RAM is an initramfs that holds the whole root: the appliance runs without
	// a disk. It is for the kernel of [Appliance.Kernel].
	RAM Part = "ram"
	// RAMEFI is an EFI program that holds the kernel and RAM; an empty file as
	// with EFI.
	RAMEFI Part = "ram-efi"
	// ISO is an image of a CD that boots the appliance into memory.
	ISO Part = "iso"
)

// Asks is a format that asks for parts of the appliance.
type Asks interface {
	Parts() []Part
}

// Tree is a root filesystem in OCI form: layers in a content store.
type Tree interface {
	// Export writes an archive in the OCI layout that `docker load` reads
	// too. ref is the full reference, such as
	// "docker.io/library/hello:1.0.0". The file at path may be there already.
	Export(ctx context.Context, path, ref string) error
}

// Format is one kind of appliance wrapper.
type Format interface {
	// Name is what recipes call it.
	Name() string
	// Summary is one line for people.
	Summary() string
	// New returns a writer with the options of a recipe, which may be empty.
	// Wrong options are reported here, by key.
	New(options json.RawMessage) (Writer, error)
}

// FileOptions is a format some of whose options are paths on this machine. A
// recipe's are relative to the file that they are written in.
type FileOptions interface {
	FileOptions() []string
}

// Writer is a format with its options.
type Writer interface {
	// Begin opens the files of the appliance in dir. size is the disk's, in
	// bytes.
	Begin(ctx context.Context, a Appliance, dir *Dir, size int64) (Sink, error)
}

// Sink takes the disk of an appliance.
type Sink interface {
	disk.Sink
	// Commit gives the files their names, after Close. When it fails it
	// leaves no file and no name behind.
	Commit() ([]File, error)
	// Abort drops the files, before or after Close, in place of Commit.
	Abort()
}

// File is a file that an output made.
type File struct {
	Format string `json:"format"`
	Path   string `json:"path"` // relative to the output folder
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
	// Allocated is the space the file takes on disk, in bytes.
	Allocated int64 `json:"allocated"`
}
