package ntfs

import (
	"errors"
	"fmt"
	"sort"
)

// maxVCN bounds virtual cluster numbers so that byte offsets fit 63 bits.
const maxVCN = 1 << 41

// hole is the place of clusters that read as zero.
const hole = -1

// run is a run of clusters of an attribute.
type run struct {
	vcn, lcn, count int64
}

func (r run) end() int64 { return r.vcn + r.count }

// pairLen returns the bytes of the length and of the place in the mapping pair
// at the start of b (LAYOUT ATTR_RECORD, mapping_pairs_offset). Both are 0 at
// the end mark.
func pairLen(b []byte) (length, place int, err error) {
	if len(b) == 0 {
		return 0, 0, errors.New("the mapping pairs have no end")
	}
	length, place = int(b[0]&15), int(b[0]>>4)
	if b[0] != 0 && (length == 0 || length > 8 || place > 8 || 1+length+place > len(b)) {
		return 0, 0, fmt.Errorf("a mapping pair begins with %#x", b[0])
	}
	return length, place, nil
}

// pairsLen returns the length of mapping pairs with their end mark.
func pairsLen(b []byte) (int64, error) {
	for off := 0; ; {
		length, place, err := pairLen(b[off:])
		if err != nil || length == 0 {
			return int64(off) + 1, err
		}
		off += 1 + length + place
	}
}

// signed decodes a number of up to eight bytes.
func signed(b []byte) int64 {
	var n int64
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | int64(b[i])
	}
	if k := 8 * uint(len(b)); k > 0 && k < 64 && n>>(k-1) != 0 {
		n -= 1 << k
	}
	return n
}

// appendRuns decodes the mapping pairs of a, which continue runs.
func appendRuns(runs []run, a attribute, clusters int64) ([]run, error) {
	vcn := int64(0)
	if len(runs) > 0 {
		vcn = runs[len(runs)-1].end()
	}
	if a.lowest != vcn {
		return nil, fmt.Errorf("clusters from %d follow cluster %d", a.lowest, vcn)
	}
	lcn := int64(0)
	for b := a.pairs; ; {
		length, place, err := pairLen(b)
		if err != nil {
			return nil, err
		}
		if length == 0 {
			break
		}
		r := run{vcn: vcn, lcn: hole, count: signed(b[1 : 1+length])}
		if place > 0 {
			lcn += signed(b[1+length : 1+length+place])
			r.lcn = lcn
		}
		if r.count <= 0 || r.count > maxVCN-vcn || place > 0 && (lcn < 0 || lcn >= clusters || r.count > clusters-lcn) {
			return nil, fmt.Errorf("%d clusters at cluster %d of %d", r.count, lcn, clusters)
		}
		runs, vcn = append(runs, r), r.end()
		b = b[1+length+place:]
	}
	// ntfs-3g takes 0 as not said, see ntfs_mapping_pairs_decompress.
	if a.highest > 0 && a.highest != vcn-1 {
		return nil, fmt.Errorf("the mapping ends at cluster %d of %d", vcn-1, a.highest)
	}
	return runs, nil
}

// search returns the index of the first run that ends behind vcn.
func search(runs []run, vcn int64) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].end() > vcn })
}
