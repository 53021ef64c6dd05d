package drivers_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestMBR scrubs a disk with logical partitions that GRUB boots from: its core
// image between the table and the first partition stays, all around it goes.
func TestMBR(t *testing.T) {
	fstest.Need(t, "fdisk", "sfdisk")
	fstest.Need(t, "grub-common", "grub-mkimage")
	const modules = "/usr/lib/grub/i386-pc"
	boot, err := os.ReadFile(filepath.Join(modules, "boot.img"))
	if err != nil {
		t.Skipf("apt-get install grub-pc-bin: %v", err)
	}
	dir := t.TempDir()
	path, image := filepath.Join(dir, "disk"), filepath.Join(dir, "core.img")
	fstest.Program(t, "grub-mkimage", "-O", "i386-pc", "-d", modules, "-o", image, "-p", "(hd0,1)/boot", "biosdisk", "part_msdos", "ext2")
	core, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64*mib); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader("label: dos\nstart=2048, size=20480, type=83\nstart=24576, size=98304, type=5\n" +
		"start=26624, size=20480, type=82\nstart=51200, size=20480, type=83\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := fstest.Program(t, "sfdisk", "--dump", path)
	marker := []byte("GONE-MARKER")
	record := int64(24576) * disk.SectorSize // of the first logical partition
	for _, w := range []struct {
		p   []byte
		off int64
	}{
		{boot[:440], 0}, {core, disk.SectorSize},
		{marker, disk.SectorSize + int64(len(core)+511)/512*512 + 10}, // behind the core image
		{marker, record + 100}, {marker, record + 446 + 2*16 + 5}, // code, and an unused entry
		{marker, record + 700},    // between the record and the partition
		{marker, 24000 * 512},     // between partitions
		{marker, 64*mib - 4*1024}, // behind the last
	} {
		if _, err := f.WriteAt(w.p, w.off); err != nil {
			t.Fatal(err)
		}
	}
	// An entry of a deleted partition: its type is zero, its place is not.
	if _, err := f.WriteAt([]byte("GONE"), 446+2*16+8); err != nil {
		t.Fatal(err)
	}
	w, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	report, err := sanitize.Scrub(t.Context(), w, sanitize.Options{Drivers: drivers.All()})
	if err != nil || !report.Proof.OK {
		t.Fatalf("%v", err)
	}
	if fstest.Contains(t, path, []byte("GONE")) {
		t.Error("a marker is still there")
	}
	got := make([]byte, 512+len(core))
	if _, err := f.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:440], boot[:440]) || !bytes.Equal(got[512:], core) {
		t.Error("GRUB is damaged")
	}
	if after := fstest.Program(t, "sfdisk", "--dump", path); after != before {
		t.Errorf("sfdisk reads %s, before %s", after, before)
	}
}
