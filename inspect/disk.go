package inspect

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// Disk is a disk and what is on it.
type Disk struct {
	// Name is that of its file in a package.
	Name   string `json:"name,omitempty"`
	Format string `json:"format,omitempty"`
	// Error says why the disk of a package could not be read.
	Error string `json:"error,omitempty"`
	// Size is the virtual size, Data what does not lie in holes, in bytes.
	Size int64 `json:"size"`
	Data int64 `json:"data"`
	// Table is nil for a disk without a partition table.
	Table *Table `json:"table,omitempty"`
	// Volumes are the partitions, or the one filesystem of a disk without a
	// table.
	Volumes []Volume `json:"volumes,omitempty"`
	// Classes account for every byte of the disk; those of a dead class that
	// are not zero are what a scrub would remove.
	Classes []sanitize.Total `json:"classes,omitempty"`
}

// Table is a partition table.
type Table struct {
	Scheme part.Scheme `json:"scheme"` // gpt or mbr
	// ID is the GUID of a GPT, the signature of an MBR.
	ID string `json:"id"`
	// Notes tell what is odd about the table.
	Notes []string `json:"notes,omitempty"`
}

// Volume is a place for a filesystem.
type Volume struct {
	// Index is the number of the partition; 0 without a table.
	Index int    `json:"index,omitempty"`
	Name  string `json:"name,omitempty"`
	// Type is the partition's: a GUID, or two digits in an MBR. TypeName says
	// it in words when it is one of the common ones.
	Type     string `json:"type,omitempty"`
	TypeName string `json:"typeName,omitempty"`
	GUID     string `json:"guid,omitempty"`
	Active   bool   `json:"active,omitempty"` // legacy BIOS boots it
	Offset   int64  `json:"offset"`
	Size     int64  `json:"size"`
	// Filesystem is its exact type, such as "FAT16"; empty when no driver
	// recognised it.
	Filesystem string `json:"filesystem,omitempty"`
	Label      string `json:"label,omitempty"`
	// Error says why a filesystem that was recognised could not be read.
	Error string `json:"error,omitempty"`
	// Classes are the bytes of each class that occurs.
	Classes []ClassBytes `json:"classes,omitempty"`
	// Files are those of a FAT, which boot loaders read; the first hundred.
	Files []BootFile `json:"files,omitempty"`
}

// ClassBytes is how much of a volume is of one class.
type ClassBytes struct {
	Class sanitize.Class `json:"class"`
	Bytes int64          `json:"bytes"`
}

// BootFile is a regular file in a boot partition.
type BootFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// maxBootFiles bounds the files that are listed.
const maxBootFiles = 100

// fatDriver is the driver of the filesystems whose files are listed.
const fatDriver = "fat"

// recognised reports whether anything on the disk is known.
func (d *Disk) recognised() bool {
	for _, v := range d.Volumes {
		if v.Filesystem != "" || v.Error != "" {
			return true
		}
	}
	return d.Table != nil
}

// read inspects a disk.
func (d *Disk) read(ctx context.Context, r disk.Reader) error {
	d.Size = r.Size()
	for e, err := range disk.DataExtents(r) {
		if err != nil {
			return fmt.Errorf("finding data: %w", err)
		}
		d.Data += e.Len
	}
	t, err := part.Parse(r)
	if errors.Is(err, part.ErrNotFound) {
		t, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("reading the partition table: %w", err)
	}
	l, err := sanitize.Read(ctx, r, drivers.All(), sanitize.ReadOptions{Tolerant: true})
	if err != nil {
		return err
	}
	if d.Classes, err = l.Summary(ctx, r); err != nil {
		return err
	}
	if t == nil {
		for _, v := range l.Volumes {
			d.Volumes = append(d.Volumes, Volume{Offset: v.Off, Size: v.Len})
		}
	} else {
		d.Table, d.Volumes = NewTable(t), Partitions(t)
	}
	for i := range d.Volumes {
		if err := d.Volumes[i].look(ctx, r, l); err != nil {
			return err
		}
	}
	return nil
}

// Partitions describes the entries of a table, as far as the table tells.
func Partitions(t *part.Table) []Volume {
	var list []Volume
	for _, e := range t.Entries {
		v := Volume{Index: e.Index, Name: e.Name, Offset: e.Off, Size: e.Len, Active: e.Attributes&part.LegacyBoot != 0}
		if t.Scheme == part.MBR {
			v.Type, v.TypeName = fmt.Sprintf("%02x", e.MBRType), mbrName(e.MBRType)
		} else {
			v.Type, v.TypeName, v.GUID = e.Type.String(), gptName(e.Type), e.GUID.String()
		}
		list = append(list, v)
	}
	return list
}

// NewTable describes a table.
func NewTable(t *part.Table) *Table {
	table := &Table{Scheme: t.Scheme, ID: t.DiskGUID.String(), Notes: t.Notes}
	if t.Scheme == part.MBR {
		table.ID = fmt.Sprintf("%08x", t.Signature)
	}
	return table
}

// look fills in what the ledger knows of a volume.
func (v *Volume) look(ctx context.Context, r disk.Reader, l *sanitize.Ledger) error {
	var sums [sanitize.Gap + 1]int64
	for _, g := range l.Regions {
		// No region crosses the border of a partition.
		if g.Off >= v.Offset && g.End() <= v.Offset+v.Size {
			sums[g.Class] += g.Len
		}
	}
	for class, n := range sums {
		if n > 0 {
			v.Classes = append(v.Classes, ClassBytes{sanitize.Class(class), n})
		}
	}
	for _, found := range l.Volumes {
		if found.Off != v.Offset {
			continue
		}
		v.Filesystem = found.Type
		if found.Label != v.Name {
			v.Label = found.Label
		}
		switch {
		case found.Err != nil:
			v.Error = found.Err.Error()
		case found.Driver == fatDriver:
			return v.list(ctx, disk.Section(r, v.Offset, v.Size))
		}
	}
	return nil
}

// errEnough ends a walk.
var errEnough = errors.New("enough files")

// list lists the files of a boot partition.
func (v *Volume) list(ctx context.Context, r disk.Reader) error {
	for _, d := range drivers.All() {
		if d.Name() != fatDriver {
			continue
		}
		fsys, err := d.Open(ctx, r)
		if err != nil {
			return err
		}
		w, ok := fsys.(sanitize.Walker)
		if !ok {
			return nil
		}
		err = w.Walk(ctx, func(f sanitize.File) error {
			if len(v.Files) == maxBootFiles {
				return errEnough
			}
			if f.Mode.IsRegular() {
				v.Files = append(v.Files, BootFile{f.Path, f.Size})
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	return nil
}

// gptName says the type of a GPT partition in words.
func gptName(g part.GUID) string {
	switch g {
	case part.TypeESP:
		return "EFI system"
	case part.TypeLinux:
		return "Linux"
	case part.TypeRootX8664:
		return "Linux root, x86-64"
	case part.TypeBIOSBoot:
		return "BIOS boot"
	case part.TypeLinuxSwap:
		return "Linux swap"
	case part.TypeMSBasicData:
		return "Windows data"
	}
	return ""
}

// mbrName says the type of an MBR partition in words.
func mbrName(t byte) string {
	switch t {
	case 0x01, 0x04, 0x06, 0x0e:
		return "FAT"
	case 0x0b, part.MBRFAT32:
		return "FAT32"
	case 0x07:
		return "NTFS or exFAT"
	case part.MBRSwap:
		return "Linux swap"
	case part.MBRLinux:
		return "Linux"
	case 0x8e:
		return "Linux LVM"
	case part.MBRESP:
		return "EFI system"
	}
	return ""
}
