package exfat_test

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/exfat"
)

// seed is a small volume of mkfs.exfat with a folder and a file.
func seed(f *testing.F) []byte {
	f.Helper()
	if _, err := exec.LookPath("mkfs.exfat"); err != nil {
		f.Skip("mkfs.exfat is missing: install the Debian package exfatprogs")
	}
	h := &hand{path: filepath.Join(f.TempDir(), "volume")}
	if err := os.WriteFile(h.path, make([]byte, 1<<20), 0o600); err != nil {
		f.Fatal(err)
	}
	if out, err := exec.Command("mkfs.exfat", "-c", "4096", "-b", "64K", h.path).CombinedOutput(); err != nil {
		f.Fatalf("mkfs.exfat: %v\n%s", err, out)
	}
	var err error
	if h.b, err = os.ReadFile(h.path); err != nil {
		f.Fatal(err)
	}
	bitmap := h.cluster(2)
	h.file(3, "a file", freeCluster, 5000, 9000)
	h.file(6, "a folder", freeCluster+3, cluster, cluster)
	h.entry(6)[4] = 0x10
	h.seal(6)
	for c := freeCluster; c < freeCluster+4; c++ {
		bitmap[(c-2)/8] |= 1 << ((c - 2) % 8)
	}
	return h.b
}

// FuzzVolume changes bytes of a volume: three bytes of an input choose one,
// the fourth is what it becomes. Checksums are made to hold.
func FuzzVolume(f *testing.F) {
	base := seed(f)
	heap := int(binary.LittleEndian.Uint32(base[88:])) * sector
	table := int(binary.LittleEndian.Uint32(base[80:])) * sector
	var targets []int
	for _, e := range []disk.Extent{{Off: 0, Len: 128}, {Off: int64(table), Len: 64}, {Off: int64(heap), Len: 32}, {Off: int64(heap + 3*cluster), Len: 512}, {Off: int64(heap + (freeCluster+1)*cluster), Len: 256}} {
		for off := e.Off; off < e.End(); off++ {
			targets = append(targets, int(off))
		}
	}
	for i := 0; i < len(targets); i += 16 {
		f.Add(binary.LittleEndian.AppendUint32(nil, uint32(i)|0xff<<24))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b := append([]byte(nil), base...)
		for ; len(in) >= 4; in = in[4:] {
			b[targets[int(binary.LittleEndian.Uint32(in)&0xffffff)%len(targets)]] = in[3]
		}
		h := &hand{b: b}
		if int(binary.LittleEndian.Uint32(b[88:]))*sector == heap {
			h.seal(3)
			h.seal(6)
		}
		sealBoot(b)
		ctx, d := context.Background(), disk.NewMemory(int64(len(b)))
		if _, err := d.WriteAt(b, 0); err != nil {
			t.Fatal(err)
		}
		l, err := sanitize.Read(ctx, d, []sanitize.Driver{exfat.Driver{}}, sanitize.ReadOptions{})
		if err != nil {
			return
		}
		if r, ok := l.Volumes[0].Rememberer(); ok {
			if err := r.Remnants(ctx, func(sanitize.Remnant) error { return nil }); err != nil {
				t.Fatalf("a volume that has a ledger does not tell names: %v", err)
			}
		}
		report, err := sanitize.Scrub(ctx, d, sanitize.Options{Drivers: []sanitize.Driver{exfat.Driver{}}})
		if err != nil {
			t.Fatalf("a volume that has a ledger is not scrubbed: %v", err)
		}
		if !report.Proof.OK {
			t.Fatalf("the proof is %+v", report.Proof)
		}
	})
}
