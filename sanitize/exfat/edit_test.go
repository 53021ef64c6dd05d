package exfat_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/exfat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// hand is a volume that is changed byte by byte: no program makes what is
// tested here. Its clusters have 4096 bytes, its sectors 512.
type hand struct {
	t    *testing.T
	path string
	b    []byte
}

// Places on a volume of mkfs.exfat, which dump.exfat shows.
const (
	sector      = 512
	cluster     = 4096
	entryLen    = 32
	rootCluster = 5
	freeCluster = 6
)

// byHand makes a volume of 4 MiB with one contiguous file of three clusters,
// of which 5000 of 9000 bytes are valid.
func byHand(t *testing.T) *hand {
	t.Helper()
	fstest.Need(t, "exfatprogs", "mkfs.exfat", "fsck.exfat")
	h := &hand{t: t, path: filepath.Join(t.TempDir(), "volume.img")}
	makeVolume(t, h.path, 4, "-c 4096 -b 64K")
	var err error
	h.b, err = os.ReadFile(h.path)
	must(t, err)
	if got := binary.LittleEndian.Uint32(h.b[96:]); got != rootCluster {
		t.Fatalf("the root directory begins in cluster %d", got)
	}
	h.file(3, "LIVE file", freeCluster, 5000, 9000)
	copy(h.cluster(freeCluster), text("LIVE", 5000))
	bitmap := h.cluster(2)
	for c := freeCluster; c < freeCluster+3; c++ {
		bitmap[(c-2)/8] |= 1 << ((c - 2) % 8)
	}
	h.save()
	check(t, h.path)
	return h
}

// cluster returns the bytes from cluster n on.
func (h *hand) cluster(n int) []byte {
	heap := int(binary.LittleEndian.Uint32(h.b[88:])) * sector
	return h.b[heap+(n-2)*cluster:]
}

// entry returns entry n of the root directory.
func (h *hand) entry(n int) []byte { return h.cluster(rootCluster)[n*entryLen:][:entryLen] }

// file writes the three entries of a file from entry n on.
func (h *hand) file(n int, name string, first, valid, size int) {
	le := binary.LittleEndian
	e := h.cluster(rootCluster)[n*entryLen:][:3*entryLen]
	clear(e)
	e[0], e[1], e[4] = 0x85, 2, 0x20
	for _, off := range []int{8, 12, 16} {
		le.PutUint32(e[off:], 1<<21|1<<16)
	}
	s := e[entryLen:]
	s[0], s[1], s[3] = 0xc0, 3, byte(len(name))
	le.PutUint16(s[4:], nameHash(name))
	le.PutUint64(s[8:], uint64(valid))
	le.PutUint32(s[20:], uint32(first))
	le.PutUint64(s[24:], uint64(size))
	c := s[entryLen:]
	c[0] = 0xc1
	for i := range len(name) {
		c[2+2*i] = name[i]
	}
	h.seal(n)
}

// seal computes the checksum of the file at entry n.
func (h *hand) seal(n int) {
	e, sum := h.cluster(rootCluster)[n*entryLen:][:3*entryLen], uint16(0)
	for i, c := range e {
		if i != 2 && i != 3 {
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	binary.LittleEndian.PutUint16(e[2:], sum)
}

// nameHash is the hash of a name of ASCII letters, SPEC section 7.6.4.
func nameHash(name string) (h uint16) {
	for _, c := range bytes.ToUpper([]byte(name)) {
		for _, b := range []byte{c, 0} {
			h = h<<15 | h>>1
			h += uint16(b)
		}
	}
	return h
}

func (h *hand) save() { must(h.t, os.WriteFile(h.path, h.b, 0o600)) }

// TestByHand plants traces in the classes that no program leaves at will.
func TestByHand(t *testing.T) {
	h := byHand(t)
	mark := []byte("SECRET")
	wide := []byte("S\x00E\x00C\x00R\x00E\x00T\x00")
	copy(h.cluster(freeCluster)[5000:], mark)          // behind the valid data
	copy(h.cluster(freeCluster + 2)[4000:], mark)      // behind the end
	copy(h.cluster(100), mark)                         // a free cluster
	copy(h.cluster(2)[2000:], mark)                    // behind the bitmap
	copy(h.entry(5)[2+2*10:], wide[:10])               // behind the end of the name
	h.seal(3)                                          //
	copy(h.entry(6), append([]byte{0x41, 0}, wide...)) // a deleted entry
	copy(h.entry(8)[10:], mark)                        // behind the end mark
	copy(h.entry(0)[2+2*7:], wide[:8])                 // behind the label
	copy(h.b[30*sector:], mark)                        // ahead of the table
	table := int(binary.LittleEndian.Uint32(h.b[80:])) * sector
	copy(h.b[table+4*freeCluster:], mark[:4]) // the table of a contiguous file
	copy(h.b[table+4*200:], mark[:4])         // and of free clusters
	last := table + int(binary.LittleEndian.Uint32(h.b[84:]))*sector
	copy(h.b[last-10:], mark) // behind the last entry of the table
	for _, region := range []int{0, 12} {
		copy(h.b[(region+10)*sector:], mark) // the reserved sector
		sealBoot(h.b[region*sector:])
	}
	h.save()
	check(t, h.path)

	fstest.Scrub(t, exfat.Driver{}, h.path)
	check(t, h.path)
	after, err := os.ReadFile(h.path)
	must(t, err)
	for _, m := range [][]byte{mark[:4], wide[:6]} {
		if i := bytes.Index(after, m); i >= 0 {
			t.Errorf("a trace is left at byte %d", i)
		}
	}
	if bytes.Count(after, []byte("LIVE")) < 900 {
		t.Error("what lives is gone")
	}
	if again := fstest.Scrub(t, exfat.Driver{}, h.path); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
	tree := fstest.Tree(t, exfat.Driver{}, h.path)
	want := append(text("LIVE", 5000), make([]byte, 4000)...)
	if tree["/LIVE file"] != fstest.Sum(t, bytes.NewReader(want)) {
		t.Error("the file reads otherwise")
	}
}

// sealBoot computes the checksum of a boot region.
func sealBoot(b []byte) {
	sum := uint32(0)
	for i, c := range b[:11*sector] {
		if i != 106 && i != 107 && i != 112 {
			sum = sum<<31 | sum>>1
			sum += uint32(c)
		}
	}
	for i := 0; i < sector; i += 4 {
		binary.LittleEndian.PutUint32(b[11*sector+i:], sum)
	}
}

// TestRefusal leaves volumes alone that are in use or damaged.
func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused bool
		change  func(h *hand)
	}{
		{"dirty", true, func(h *hand) { h.b[106] |= 2 }},
		{"failing", true, func(h *hand) { h.b[106] |= 4 }},
		{"boot code changed", true, func(h *hand) { h.b[200]++ }},
		{"entry changed", true, func(h *hand) { h.entry(5)[2]++ }},
		{"two tables", false, func(h *hand) { h.b[110] = 2; sealBoot(h.b) }},
		{"entry of a file alone", false, func(h *hand) { clear(h.entry(3)); h.entry(3)[0] = 1 }},
		{"file behind the end", false, func(h *hand) { h.entry(4)[22] = 0xff; h.seal(3) }},
		{"file in free clusters", false, func(h *hand) { h.entry(4)[20] = 50; h.seal(3) }},
		{"chain in a loop", false, func(h *hand) {
			h.b[binary.LittleEndian.Uint32(h.b[80:])*sector+4*rootCluster] = rootCluster
			clear(h.b[binary.LittleEndian.Uint32(h.b[80:])*sector+4*rootCluster+1:][:3])
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := byHand(t)
			c.change(h)
			h.save()
			d, err := disk.OpenFileRW(h.path)
			must(t, err)
			defer d.Close()
			_, err = sanitize.Scrub(context.Background(), d, sanitize.Options{Drivers: []sanitize.Driver{exfat.Driver{}}})
			if err == nil || errors.Is(err, sanitize.ErrRefused) != c.refused {
				t.Errorf("the error is %v", err)
			}
			if after, _ := os.ReadFile(h.path); !bytes.Equal(h.b, after) {
				t.Error("the volume was changed")
			}
		})
	}
}
