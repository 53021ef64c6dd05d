package lvm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// maxPieces bounds the pieces of all logical volumes together.
const maxPieces = 1 << 20

// maxExtents bounds the extents of a physical volume: 64 TiB of the usual ones.
const maxExtents = 1 << 24

// volume is a logical volume: runs of the physical one, in its own order.
type volume struct {
	name   string
	runs   []disk.Extent
	opaque string // why it is not looked into
	fs     sanitize.Filesystem
	driver string
	reader disk.Reader
	starts []int64 // where the runs begin in the volume
}

// describe takes from the metadata what lies on this physical volume.
func (p *physical) describe(root *section) error {
	if len(root.order) != 1 {
		return fmt.Errorf("the metadata has %d volume groups", len(root.order))
	}
	p.group = root.order[0]
	group := root.sub(p.group)
	here := ""
	pvs := group.sub("physical_volumes")
	for _, name := range pvs.order {
		if strings.ReplaceAll(pvs.sub(name).text("id"), "-", "") == p.uuid {
			here = name
		}
	}
	if here == "" {
		return errors.New("the metadata does not know this physical volume")
	}
	pv := pvs.sub(here)
	sectors, start, count := group.number("extent_size"), pv.number("pe_start"), pv.number("pe_count")
	size := p.r.Size() / sector
	if count > maxExtents || sectors <= 0 || start <= 0 || count < 0 || start > size || count > (size-start)/sectors {
		return fmt.Errorf("%d extents of %d sectors from sector %d on do not fit into %d", count, sectors, start, size)
	}
	p.start, p.extent, p.extents = start*sector, sectors*sector, count
	lvs := group.sub("logical_volumes")
	used := mentioned(lvs)
	pieces := 0
	for _, name := range lvs.order {
		v, err := p.logical(name, lvs.sub(name), here)
		if err != nil {
			return fmt.Errorf("logical volume %s: %w", name, err)
		}
		if used[name] && v.opaque == "" {
			v.opaque = "part of another volume"
		}
		if pieces += len(v.runs); pieces > maxPieces {
			return fmt.Errorf("logical volumes have more than %d pieces", maxPieces)
		}
		p.volumes = append(p.volumes, v)
	}
	return nil
}

// mentioned returns the names that segments refer to, in whatever role: such a
// volume is an origin, a snapshot, or a part of another.
func mentioned(lvs *section) map[string]bool {
	names := map[string]bool{}
	for _, lv := range lvs.order {
		for _, seg := range lvs.sub(lv).order {
			for _, v := range lvs.sub(lv).sub(seg).values {
				switch v := v.(type) {
				case string:
					names[v] = true
				case []any:
					for _, e := range v {
						if s, ok := e.(string); ok {
							names[s] = true
						}
					}
				}
			}
		}
	}
	return names
}

// logical maps one logical volume. Extents of it that lie elsewhere, or whose
// order is not known, make it opaque; those here are claimed all the same.
func (p *physical) logical(name string, lv *section, here string) (volume, error) {
	v := volume{name: name}
	if !slices.Contains(lv.list("status"), any("VISIBLE")) {
		v.opaque = "not visible"
	}
	next := int64(0)
	for _, segment := range lv.order {
		s := lv.sub(segment)
		stripes, start, count := s.list("stripes"), s.number("start_extent"), s.number("extent_count")
		n := int64(len(stripes) / 2)
		if s.text("type") != "striped" || n == 0 {
			v.opaque = "of type " + s.text("type")
			continue
		}
		if start != next || count <= 0 || count%n != 0 {
			return v, fmt.Errorf("segment %s has %d extents from %d on, where %d was due", segment, count, start, next)
		}
		next += count
		if err := p.stripe(&v, s, stripes, count/n, here); err != nil {
			return v, fmt.Errorf("segment %s: %w", segment, err)
		}
	}
	return v, nil
}

// stripe adds the runs of one segment, of which each stripe has each extents.
func (p *physical) stripe(v *volume, s *section, stripes []any, each int64, here string) error {
	n := int64(len(stripes) / 2)
	chunk := s.number("stripe_size") * sector
	if n == 1 {
		chunk = each * p.extent
	}
	if chunk <= 0 || each > p.extents || each*p.extent%chunk != 0 || each*p.extent/chunk*n > maxPieces {
		return fmt.Errorf("stripes of %d bytes in %d extents", chunk, each)
	}
	starts := make([]int64, n)
	for i := range starts {
		pv, _ := stripes[2*i].(string)
		first, ok := stripes[2*i+1].(int64)
		if !ok || first < 0 || pv == here && first > p.extents-each {
			return fmt.Errorf("a stripe begins at extent %v of %d", stripes[2*i+1], p.extents)
		}
		starts[i] = p.start + first*p.extent
		if pv != here {
			v.opaque = "on more than this disk"
			starts[i] = -1
		}
	}
	for at := int64(0); at < each*p.extent; at += chunk {
		for _, start := range starts {
			if start >= 0 {
				v.runs = append(v.runs, disk.Extent{Off: start + at, Len: chunk})
			}
		}
	}
	return nil
}

// open puts the volume together and asks the drivers.
func (v *volume) open(ctx context.Context, r disk.Reader, drivers []sanitize.Driver) error {
	var parts []disk.Reader
	at := int64(0)
	for _, e := range v.runs {
		parts, v.starts = append(parts, disk.Section(r, e.Off, e.Len)), append(v.starts, at)
		at += e.Len
	}
	v.reader = disk.Concat(parts...)
	for _, d := range drivers {
		fsys, err := d.Open(ctx, v.reader)
		if errors.Is(err, sanitize.ErrNotRecognized) {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening %s: %w", d.Name(), err)
		}
		v.fs, v.driver = fsys, d.Name()
		return nil
	}
	return nil
}
