package stages

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
)

const kindDisk = "disk"

// diskParams describe the partition table. The order of the partitions is the
// order on the disk.
type diskParams struct {
	GUID       string            `json:"guid"`
	Partitions []partitionParams `json:"partitions"`
}

type partitionParams struct {
	Role string `json:"role"` // the input that holds the image
	Name string `json:"name"`
	Type string `json:"type"` // GUID
	GUID string `json:"guid"`
	Boot bool   `json:"boot,omitempty"`
}

// alignment of partitions, in bytes.
const alignment = 1 << 20

// disk adds the stage that puts the partitions on one disk.
func (s *set) disk(boot, root, data string) string {
	p := diskParams{GUID: s.guid("disk").String()}
	st := builder.Stage{Name: "disk", Title: "put the disk together", Kind: kindDisk, Version: 1}
	add := func(role, stage, name string, kind part.GUID, boot bool) {
		st.Inputs = append(st.Inputs, builder.Input{Role: role, Stage: stage, Output: "image"})
		p.Partitions = append(p.Partitions, partitionParams{Role: role, Name: name, Type: kind.String(), GUID: s.guid(role).String(), Boot: boot})
	}
	st.Inputs = append(st.Inputs, builder.Input{Role: "mbr", Stage: boot, Output: "mbr"})
	add("boot", boot, "boot", part.TypeESP, true)
	add("root", root, "root", part.TypeRootX8664, false)
	if data != "" {
		add("data", data, "data", part.TypeLinux, false)
	}
	return s.add(st, p)
}

// makeDisk is the runner.
func (o Options) makeDisk(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[diskParams](w)
	if err != nil {
		return nil, err
	}
	code, err := readInput(ctx, w, "mbr")
	if err != nil {
		return nil, err
	}
	guid, err := part.ParseGUID(p.GUID)
	if err != nil {
		return nil, err
	}
	table := part.Table{Scheme: part.GPT, DiskGUID: guid, BootCode: code}
	sources := make([]disk.Reader, len(p.Partitions))
	offset := int64(alignment)
	for i, pp := range p.Partitions {
		r, closer, err := OpenDisk(ctx, w.Store, w.Inputs[pp.Role])
		if err != nil {
			return nil, err
		}
		defer closer.Close()
		sources[i] = r
		entry, err := pp.entry(i, offset, r.Size())
		if err != nil {
			return nil, err
		}
		table.Entries = append(table.Entries, entry)
		offset = (entry.End() + alignment - 1) / alignment * alignment
	}
	// The backup table takes the last 33 sectors; a whole alignment unit
	// keeps the size round, which some importers ask for.
	d, err := assemble(offset+alignment, &table, sources)
	if err != nil {
		return nil, err
	}
	desc, err := putDisk(ctx, w, d)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"disk": desc}, nil
}

func (pp partitionParams) entry(i int, offset, size int64) (part.Entry, error) {
	kind, err := part.ParseGUID(pp.Type)
	if err != nil {
		return part.Entry{}, err
	}
	guid, err := part.ParseGUID(pp.GUID)
	if err != nil {
		return part.Entry{}, err
	}
	e := part.Entry{Index: i + 1, Name: pp.Name, Type: kind, GUID: guid, Extent: disk.Extent{Off: offset, Len: size}}
	if pp.Boot {
		e.Attributes |= part.LegacyBoot
	}
	return e, nil
}

// assemble returns the disk of that size on which each partition is in its
// place.
func assemble(size int64, table *part.Table, sources []disk.Reader) (disk.Reader, error) {
	var parts []disk.Reader
	var off int64
	for i, src := range sources {
		e := table.Entries[i]
		parts = append(parts, disk.NewMemory(e.Off-off), src)
		off = e.End()
	}
	d := disk.NewOverlay(disk.Concat(append(parts, disk.NewMemory(size-off))...))
	if err := table.Write(d); err != nil {
		return nil, fmt.Errorf("writing the partition table: %w", err)
	}
	return d, nil
}
