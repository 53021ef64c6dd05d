package vmdk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// describe returns the text that describes a disk to people and importers
// ("The Descriptor"). id is its content ID, extents are the lines that say
// where the data lie.
func describe(kind Type, sectors int64, id [16]byte, extents []string) string {
	const heads, perTrack = 255, 63
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nversion=1\nCID=%x\nparentCID=%s\ncreateType=\"%s\"\n\n", DescriptorMagic, id[12:], noParent, kind)
	fmt.Fprintf(&b, "# Extent description\n%s\n\n# The Disk Data Base\n#DDB\n\n", strings.Join(extents, "\n"))
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
	return b.String()
}

// embed returns a descriptor that lies in an extent, where its room is
// limited.
func embed(kind Type, sectors int64, id [16]byte, name string) (string, error) {
	text := describe(kind, sectors, id, []string{fmt.Sprintf("RW %d SPARSE \"%s\"", sectors, name)})
	if len(text) > descriptorLen*disk.SectorSize {
		return "", fmt.Errorf("the descriptor has %d bytes, more than there is room for", len(text))
	}
	return text, nil
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

// noParent is the content ID of no disk.
const noParent = "ffffffff"

// maxExtents bounds the files of a disk.
const maxExtents = 2048

// description is what a reader needs of a descriptor.
type description struct {
	cid, parentCID string
	parentName     string
	extents        []extentLine
}

// extentLine says where a run of the disk lies.
type extentLine struct {
	access, kind string
	name         string
	size         int64 // bytes
	off          int64 // in the file, bytes
}

// parseDescriptor reads a descriptor. Keys that are not known are left alone.
func parseDescriptor(text string) (description, error) {
	text = strings.TrimRight(text, "\x00")
	if !strings.HasPrefix(text, DescriptorMagic) {
		return description{}, errors.New("its descriptor does not begin as one")
	}
	d := description{parentCID: noParent}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		access, rest, _ := strings.Cut(line, " ")
		if access == "RW" || access == "RDONLY" || access == "NOACCESS" {
			e, err := parseExtent(access, rest)
			if err != nil {
				return d, fmt.Errorf("its descriptor has the line %q: %w", line, err)
			}
			if d.extents = append(d.extents, e); len(d.extents) > maxExtents {
				return d, fmt.Errorf("its descriptor names more than %d extents", maxExtents)
			}
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.TrimSpace(key) {
		case "CID":
			d.cid = contentIDOf(value)
		case "parentCID":
			d.parentCID = contentIDOf(value)
		case "parentFileNameHint":
			d.parentName = value
		}
	}
	if len(d.extents) == 0 {
		return d, errors.New("its descriptor names no extents")
	}
	return d, nil
}

// contentIDOf returns a content ID in one spelling.
func contentIDOf(value string) string { return strings.TrimLeft(strings.ToLower(value), "0") }

// parseExtent reads what follows the access of an extent: the number of
// sectors, the type, the file in quotes and the sector in it.
func parseExtent(access, rest string) (extentLine, error) {
	count, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	sectors, err := strconv.ParseUint(count, 10, 64)
	if err != nil || sectors > maxCapacity {
		return extentLine{}, errors.New("its size is no number of sectors")
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	e := extentLine{access: access, kind: kind, size: int64(sectors) * disk.SectorSize}
	_, rest, quoted := strings.Cut(rest, `"`)
	if !quoted {
		return e, nil
	}
	name, rest, quoted := strings.Cut(rest, `"`)
	if !quoted {
		return e, errors.New("a quote is missing")
	}
	e.name = name
	if first, _, _ := strings.Cut(strings.TrimSpace(rest), " "); first != "" {
		sector, err := strconv.ParseUint(first, 10, 64)
		if err != nil || sector > maxCapacity {
			return e, errors.New("its offset is no number of sectors")
		}
		e.off = int64(sector) * disk.SectorSize
	}
	return e, nil
}

// refuse is an error for a disk that is fine and not understood.
func refuse(format string, args ...any) error {
	return fault.New(fault.Input, fmt.Errorf(format, args...),
		"convert it into a plain image first: `qemu-img convert -O raw IN OUT`, or `vmkfstools -i IN -d thin OUT` on ESXi")
}
