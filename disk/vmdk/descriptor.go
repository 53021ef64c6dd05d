package vmdk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// descriptor returns the text that describes the disk to people and importers
// ("The Descriptor"). id is its content ID.
func descriptor(name string, sectors int64, id [16]byte) (string, error) {
	const heads, perTrack = 255, 63
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nversion=1\nCID=%x\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n", DescriptorMagic, id[12:])
	fmt.Fprintf(&b, "# Extent description\nRW %d SPARSE \"%s\"\n\n# The Disk Data Base\n#DDB\n\n", sectors, name)
	for _, line := range [][2]string{
		{"adapterType", "lsilogic"},
		{"geometry.cylinders", fmt.Sprint(sectors / (heads * perTrack))},
		{"geometry.heads", fmt.Sprint(heads)},
		{"geometry.sectors", fmt.Sprint(perTrack)},
		{"longContentID", fmt.Sprintf("%x", id)},
		// 4 and the largest version: tools come with the system, if at all.
		{"toolsInstallType", "4"},
		{"toolsVersion", "2147483647"},
		{"virtualHWVersion", "4"},
	} {
		fmt.Fprintf(&b, "ddb.%s = \"%s\"\n", line[0], line[1])
	}
	if b.Len() > descriptorLen*disk.SectorSize {
		return "", fmt.Errorf("the descriptor has %d bytes, more than there is room for", b.Len())
	}
	return b.String(), nil
}

// checkName refuses names that would break out of the descriptor.
func checkName(name string) error {
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' {
			return fmt.Errorf("the name %q holds more than plain ASCII", name)
		}
	}
	return nil
}

// checkDescriptor refuses disks that consist of more than this one file.
func checkDescriptor(text string) error {
	text = strings.TrimRight(text, "\x00")
	if !strings.HasPrefix(text, DescriptorMagic) {
		return errors.New("its descriptor does not begin as one")
	}
	extents := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case key == "createType" && value != "streamOptimized" && value != "monolithicSparse":
			return refuse("it is of type %s", value)
		case key == "parentCID" && !strings.EqualFold(value, "ffffffff"):
			return refuse("it is a delta of another disk")
		case strings.HasPrefix(line, "RW ") || strings.HasPrefix(line, "RDONLY ") || strings.HasPrefix(line, "NOACCESS "):
			extents++
		}
	}
	if extents > 1 {
		return refuse("it consists of %d files", extents)
	}
	return nil
}

// refuse is an error for a disk that is fine and not understood.
func refuse(format string, args ...any) error {
	return fault.New(fault.Input, fmt.Errorf(format, args...),
		"convert it into a plain image first: `qemu-img convert -O raw IN OUT`")
}
