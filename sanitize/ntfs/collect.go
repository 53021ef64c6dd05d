package ntfs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Offsets in an entry of an attribute list, LAYOUT ATTR_LIST_ENTRY.
const (
	listEntryLen  = 4
	listEntryRef  = 0x10
	listEntrySize = 0x1a      // without the name
	maxList       = 256 << 10 // bytes, the bound of Windows
)

// file is a base record with the streams that it and its extension records
// hold.
type file struct {
	*record
	streams []*stream
}

// file reads the file of base record num.
func (f *filesystem) file(num int64) (*file, error) {
	r, err := f.record(num)
	if err != nil {
		return nil, err
	}
	return f.collect(r)
}

// collect puts the streams of base record r together.
func (f *filesystem) collect(r *record) (*file, error) {
	attrs, err := f.attributes(r)
	if err != nil {
		return nil, fmt.Errorf("reading the attributes of MFT record %d: %w", r.num, err)
	}
	n := &file{record: r}
	if n.streams, err = f.assemble(attrs); err != nil {
		return nil, fmt.Errorf("mapping MFT record %d: %w", r.num, err)
	}
	return n, nil
}

// attributes returns the attributes of r and of its extension records.
func (f *filesystem) attributes(r *record) ([]attribute, error) {
	attrs := slices.Clone(r.attrs)
	for _, a := range r.attrs {
		if a.kind != attrList {
			continue
		}
		list, err := f.newStream(a)
		if err != nil {
			return nil, err
		}
		b, err := list.whole(maxList)
		if err != nil {
			return nil, fmt.Errorf("reading the attribute list: %w", err)
		}
		refs, err := listed(b, r.num)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			e, err := f.referred(ref)
			if err != nil {
				return nil, err
			}
			if e.base.num() != r.num {
				return nil, fmt.Errorf("MFT record %d extends record %d", e.num, e.base.num())
			}
			attrs = append(attrs, e.attrs...)
		}
	}
	return attrs, nil
}

// listed returns the extension records in an attribute list, each once.
func listed(b []byte, base int64) ([]reference, error) {
	var refs []reference
	seen := map[int64]struct{}{base: {}}
	for off := 0; off+listEntrySize <= len(b); {
		n := int(binary.LittleEndian.Uint16(b[off+listEntryLen:]))
		if n < listEntrySize || n > len(b)-off {
			return nil, fmt.Errorf("an entry of %d bytes at byte %d of the attribute list", n, off)
		}
		ref := reference(binary.LittleEndian.Uint64(b[off+listEntryRef:]))
		if _, ok := seen[ref.num()]; !ok {
			seen[ref.num()] = struct{}{}
			refs = append(refs, ref)
		}
		off += n
	}
	return refs, nil
}

// assemble makes streams of attributes.
func (f *filesystem) assemble(attrs []attribute) ([]*stream, error) {
	slices.SortStableFunc(attrs, func(a, b attribute) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.lowest, b.lowest))
	})
	var streams []*stream
	for _, a := range attrs {
		if a.lowest != 0 {
			if k := len(streams) - 1; k >= 0 && streams[k].kind == a.kind && streams[k].name == a.name {
				if err := streams[k].extend(a, f.clusters); err != nil {
					return nil, fmt.Errorf("attribute %#x %q: %w", a.kind, a.name, err)
				}
				continue
			}
		}
		s, err := f.newStream(a)
		if err != nil {
			return nil, fmt.Errorf("attribute %#x %q: %w", a.kind, a.name, err)
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// stream returns an attribute, nil when there is none.
func (n *file) stream(kind uint32, name string) *stream {
	for _, s := range n.streams {
		if s.kind == kind && s.name == name {
			return s
		}
	}
	return nil
}

// isDir reports whether the file is a directory.
func (n *file) isDir() bool { return n.flags&flagDir != 0 }
