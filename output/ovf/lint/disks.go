package lint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// diskFormat is the very address that importers compare with.
const diskFormat = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

// disks examines the files of disks.
func (l *linter) disks(ctx context.Context) error {
	for _, d := range l.pkg.Disks {
		if d.File == "" {
			continue
		}
		at := l.diskElement(d.ID)
		r, n, name, ok := l.fileOf(d)
		if !ok {
			continue // said already, of the reference
		}
		if err := l.vmdk(ctx, name, r, n); err != nil {
			return err
		}
		wrapped := slices.ContainsFunc(l.pkg.Files, func(f ovf.File) bool { return f.ID == d.File && f.Wrapped() })
		if d.Parent != "" || wrapped {
			continue // said already, of the disk or the file
		}
		k, format, err := l.pkg.OpenDisk(ctx, d)
		if err != nil {
			l.addFile("disk-unreadable", name, 0, "%v", err)
			continue
		}
		// A VMDK counts in sectors.
		if rounded := (k.Size() + 511) / 512 * 512; d.Capacity != k.Size() && d.Capacity != rounded {
			l.add("capacity", at, "disk %s has %d bytes, and the descriptor says %s of %q", d.ID, k.Size(), at.attr("capacity"), at.attr("capacityAllocationUnits"))
		}
		isVMDK := strings.Contains(d.Format, "vmdk.html")
		if isVMDK != (format == "vmdk") || isVMDK && (d.Format != diskFormat && !strings.HasSuffix(d.Format, "#sparse")) {
			l.add("disk-format", at, "disk %s is a %s, and its format is said to be %q", d.ID, format, d.Format)
		}
	}
	return nil
}

func (l *linter) diskElement(id string) *element {
	for _, d := range l.root.child("DiskSection").all("Disk") {
		if d.attr("diskId") == id {
			return d
		}
	}
	return l.root
}

// fileOf opens the file of a disk.
func (l *linter) fileOf(d ovf.Disk) (r io.ReaderAt, n int64, name string, ok bool) {
	for _, f := range l.pkg.Files {
		if f.ID == d.File {
			r, n, err := l.pkg.OpenFile(f.Name)
			return r, n, f.Name, err == nil
		}
	}
	return nil, 0, "", false
}

// Fields of a sparse extent's header, and of the markers between its parts
// ("Virtual Disk Format 5.0").
const (
	sector        = 512
	versionAt     = 4
	flagsAt       = 8
	textAt        = 28 // sectors
	textLengthAt  = 36 // sectors
	maxText       = 128
	overheadAt    = 64
	flagMarkers   = 1 << 17
	markerSize    = 16
	grainHead     = 12
	endMarker     = 0
	stepsPerCheck = 1 << 12
)

// vmdk examines a file, if it is a VMDK: it is streamOptimized, new enough, and
// ends with its last marker.
func (l *linter) vmdk(ctx context.Context, name string, r io.ReaderAt, n int64) error {
	head := make([]byte, sector)
	switch _, err := r.ReadAt(head, 0); {
	case bytes.HasPrefix(head, []byte(vmdk.DescriptorMagic)):
		l.addFile("vmdk-type", name, 0, "it is the descriptor of a VMDK in several files")
		return nil
	case err != nil || !bytes.HasPrefix(head, []byte(vmdk.Magic)):
		return nil // it is no VMDK
	}
	if binary.LittleEndian.Uint32(head[flagsAt:])&flagMarkers == 0 {
		l.addFile("vmdk-type", name, 0, "it is a sparse VMDK, and not a streamOptimized one")
		return nil
	}
	if v := binary.LittleEndian.Uint32(head[versionAt:]); v < 3 {
		l.addFile("vmdk-version", name, 0, "it has version %d", v)
	}
	l.vmdkText(name, r, n, head)
	end, err := streamEnd(ctx, r, n, binary.LittleEndian.Uint64(head[overheadAt:]))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		l.addFile("vmdk-damaged", name, 0, "%v", err)
	case end < n:
		l.addFile("vmdk-trailing", name, 0, "%d bytes follow the end of its stream", n-end)
	}
	return nil
}

// vmdkText examines the text in a streamOptimized disk.
func (l *linter) vmdkText(name string, r io.ReaderAt, n int64, head []byte) {
	at, length := binary.LittleEndian.Uint64(head[textAt:]), binary.LittleEndian.Uint64(head[textLengthAt:])
	if length == 0 || length > maxText || at > uint64(n)/sector-min(length, uint64(n)/sector) {
		l.addFile("vmdk-descriptor", name, 0, "it says %d sectors of text at sector %d", length, at)
		return
	}
	text := make([]byte, length*sector)
	if _, err := r.ReadAt(text, int64(at)*sector); err != nil {
		return // said of the disk
	}
	text = bytes.TrimRight(text, "\x00")
	kind := createType.FindSubmatch(text)
	switch {
	case !bytes.HasPrefix(text, []byte(vmdk.DescriptorMagic+"\n")):
		l.addFile("vmdk-descriptor", name, 0, "the text in it does not begin with %s", vmdk.DescriptorMagic)
	case kind == nil:
		l.addFile("vmdk-descriptor", name, 0, "the text in it tells no type")
	case string(kind[1]) != "streamOptimized":
		l.addFile("vmdk-descriptor", name, 0, "the text in it says that it is a %.40q", kind[1])
	}
	if !bytes.Contains(text, []byte("ddb.toolsVersion")) {
		l.addFile("vmdk-tools", name, 0, "the text in it tells no version of the tools")
	}
}

// createType finds the type of a disk in its text.
var createType = regexp.MustCompile(`(?m)^createType\s*=\s*"?([^"\r\n]*)`)

// streamEnd walks from marker to marker and returns where the last one ends.
// Each step goes forward, so the length of the file bounds them.
func streamEnd(ctx context.Context, r io.ReaderAt, n int64, overhead uint64) (int64, error) {
	if overhead > uint64(n)/sector {
		return 0, errors.New("its first grain lies behind the end of the file")
	}
	marker := make([]byte, markerSize)
	off := int64(overhead) * sector
	for step := 0; ; step++ {
		if step%stepsPerCheck == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if off > n-sector {
			return 0, errors.New("its stream has no end marker")
		}
		if _, err := r.ReadAt(marker, off); err != nil {
			return 0, fmt.Errorf("reading the marker at %d: %w", off, err)
		}
		value := binary.LittleEndian.Uint64(marker)
		size := int64(binary.LittleEndian.Uint32(marker[8:]))
		kind := binary.LittleEndian.Uint32(marker[12:])
		switch {
		case size > 0: // a grain, of which value is the place on the disk
			off += (grainHead + size + sector - 1) / sector * sector
		case kind == endMarker:
			return off + sector, nil
		case value > uint64(n)/sector:
			return 0, fmt.Errorf("the marker at %d leads behind the end of the file", off)
		default: // metadata, of which value is the length in sectors
			off += sector + int64(value)*sector
		}
	}
}
