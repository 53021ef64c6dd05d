package drivers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

const mib = 1 << 20

// appliance writes a disk as a build makes it: an EFI system partition that
// syslinux boots from, an EROFS root, an ext4 for data.
func appliance(t *testing.T, path string) {
	t.Helper()
	fstest.Need(t, "dosfstools", "mkfs.fat", "fsck.fat")
	fstest.Need(t, "mtools", "mcopy", "mmd", "mdel")
	fstest.Need(t, "erofs-utils", "mkfs.erofs", "fsck.erofs")
	fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs", "e2fsck")
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	esp, root, data := filepath.Join(dir, "esp"), filepath.Join(dir, "root"), filepath.Join(dir, "data")
	fstest.Program(t, "mkfs.fat", "-C", "-F16", "--invariant", esp, "16384")
	fstest.Program(t, "mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
	fstest.Program(t, "mcopy", "-i", esp, file("kernel", strings.Repeat("kernel", 100_000)), "::/EFI/BOOT/BOOTX64.EFI")
	fstest.Program(t, "mcopy", "-i", esp, file("deleted", strings.Repeat("DELETED-ON-FAT ", 5000)), "::/deleted-file")
	fstest.Program(t, "mdel", "-i", esp, "::/deleted-file")
	if err := os.MkdirAll(filepath.Join(dir, "tree/etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	file("tree/etc/motd", "live and well\n")
	fstest.Program(t, "mkfs.erofs", "-zlz4hc", "-T0", root, filepath.Join(dir, "tree"))
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-L", "data", data, "16m")
	script := "write " + file("dead", strings.Repeat("DELETED-ON-EXT ", 5000)) + " dead\nwrite " + file("live", "LIVE-ON-EXT") + " live\nrm dead\n"
	fstest.Program(t, "debugfs", "-w", "-f", file("script", script), data)

	d, err := disk.CreateFile(path, 48*mib)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	table := &part.Table{Scheme: part.GPT, DiskGUID: part.GUIDFrom(nil, "disk")}
	for i, p := range []struct {
		name, image string
		kind        part.GUID
		off, len    int64
	}{{"esp", esp, part.TypeESP, mib, 16 * mib}, {"root", root, part.TypeRootX8664, 17 * mib, 8 * mib}, {"data", data, part.TypeLinux, 26 * mib, 20 * mib}} {
		b, err := os.ReadFile(p.image)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.WriteAt(b, p.off); err != nil {
			t.Fatal(err)
		}
		table.Entries = append(table.Entries, part.Entry{
			Index: i + 1, Name: p.name, Type: p.kind, GUID: part.GUIDFrom(nil, p.name),
			Extent: disk.Extent{Off: p.off, Len: p.len},
		})
	}
	if err := table.Write(d); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{100 << 10, 25*mib + 4096, 45 * mib, 47 * mib} {
		if _, err := d.WriteAt([]byte("IN-A-GAP"), off); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAppliance scrubs a whole disk and lets every judge look at the result.
func TestAppliance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	appliance(t, path)
	ctx := context.Background()
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	opts := sanitize.Options{Drivers: drivers.All()}

	dry := opts
	dry.DryRun = true
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := sanitize.Scrub(ctx, d, dry)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a dry run changed the disk")
	}
	report, err := sanitize.Scrub(ctx, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Proof.OK || report.Changed == 0 || report.Changed != plan.Changed {
		t.Errorf("changed %d bytes where %d were planned; the proof is %+v", report.Changed, plan.Changed, report.Proof)
	}
	if len(report.Unknown) > 0 {
		t.Errorf("regions without an owner: %+v", report.Unknown)
	}
	want := []sanitize.VolumeReport{
		{Offset: mib, Length: 16 * mib, Type: "FAT16", Label: "esp"},
		{Offset: 17 * mib, Length: 8 * mib, Type: "erofs", Label: "root"},
		{Offset: 26 * mib, Length: 20 * mib, Type: "ext4", Label: "data"},
	}
	if diff := cmp.Diff(want, report.Volumes); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	for _, dead := range []string{"DELETED-ON-FAT", "DELETED-ON-EXT", "IN-A-GAP", "eleted-file", "dead"} {
		if fstest.Contains(t, path, []byte(dead)) {
			t.Errorf("%q is still there", dead)
		}
	}
	for _, live := range []string{"LIVE-ON-EXT", "kernelkernel", "live and well"} {
		if !fstest.Contains(t, path, []byte(live)) {
			t.Errorf("%q is gone", live)
		}
	}
	judge(t, path)
	again, err := sanitize.Scrub(ctx, d, opts)
	if err != nil || again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes: %v", again.Changed, err)
	}
	if again.Proof.Digest != report.Proof.Digest {
		t.Error("the digest of the live tree is not stable")
	}
}

// judge runs the checkers of the table and of every filesystem.
func judge(t *testing.T, path string) {
	t.Helper()
	fstest.Need(t, "gdisk", "sgdisk")
	if out := fstest.Program(t, "sgdisk", "-v", path); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v: %s", out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off, len int64
		argv     []string
	}{{mib, 16 * mib, []string{"fsck.fat", "-n"}}, {17 * mib, 8 * mib, []string{"fsck.erofs"}}, {26 * mib, 20 * mib, []string{"e2fsck", "-fn"}}} {
		p := filepath.Join(t.TempDir(), "part")
		if err := os.WriteFile(p, b[c.off:c.off+c.len], 0o600); err != nil {
			t.Fatal(err)
		}
		fstest.Program(t, c.argv[0], append(c.argv[1:], p)...)
	}
}

// TestClasses scrubs only what was chosen.
func TestClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	appliance(t, path)
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	opts := sanitize.Options{Drivers: drivers.All(), Only: []sanitize.Class{sanitize.Gap, sanitize.Stale}, Except: []sanitize.Class{sanitize.Stale}}
	report, err := sanitize.Scrub(context.Background(), d, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range report.Classes {
		if (c.Zeroed > 0) != (c.Class == sanitize.Gap) {
			t.Errorf("zeroed %d bytes of class %s", c.Zeroed, c.Class)
		}
	}
	if !fstest.Contains(t, path, []byte("DELETED-ON-FAT")) || fstest.Contains(t, path, []byte("IN-A-GAP")) {
		t.Error("other bytes than those of gaps were zeroed")
	}
	opts.Only = []sanitize.Class{sanitize.Live}
	if _, err := sanitize.Scrub(context.Background(), d, opts); err == nil {
		t.Error("live bytes may be chosen")
	}
}

// TestRefusal leaves a filesystem alone whose journal is to be replayed.
func TestRefusal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	appliance(t, path)
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const needsRecovery = 26*mib + 1024 + 0x60
	if _, err := d.WriteAt([]byte{0x46 | 0x80}, needsRecovery); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sanitize.Scrub(context.Background(), d, sanitize.Options{Drivers: drivers.All()}); !errors.Is(err, sanitize.ErrRefused) {
		t.Errorf("the error is %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("a refused scrub changed the disk")
	}
	l, err := sanitize.Read(context.Background(), d, drivers.All(), sanitize.ReadOptions{Tolerant: true})
	if err != nil {
		t.Fatal(err)
	}
	if v := l.Volumes[2]; !errors.Is(v.Err, sanitize.ErrRefused) {
		t.Errorf("a tolerant ledger has %+v", v)
	}
	if g, ok := l.At(27 * mib); !ok || g.Class != sanitize.Unknown {
		t.Errorf("the refused volume is %+v", g)
	}
}

// TestReport writes the report for people and for machines.
func TestReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	appliance(t, path)
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	report, err := sanitize.Scrub(context.Background(), d, sanitize.Options{Drivers: drivers.All()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var back sanitize.Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*report, back); diff != "" {
		t.Errorf("the report does not survive JSON (-want +got):\n%s", diff)
	}
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"boot code", "FAT16", "erofs", "ext4", "holds"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	t.Log("\n" + table.String())
}
