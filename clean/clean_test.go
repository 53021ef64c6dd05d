package clean_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/clean"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// dirty makes an ext4 image with a live file and a deleted one.
func dirty(t *testing.T, path string) {
	t.Helper()
	fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs")
	text := filepath.Join(t.TempDir(), "text")
	for _, s := range []string{"LIVE", "DELETED"} {
		if err := os.WriteFile(text, []byte(strings.Repeat(s+"-CONTENT ", 900)), 0o600); err != nil {
			t.Fatal(err)
		}
		if s == "LIVE" {
			fstest.Program(t, "mke2fs", "-q", "-t", "ext4", path, "16m")
		}
		fstest.Program(t, "debugfs", "-w", "-R", "write "+text+" "+strings.ToLower(s)+"-name", path)
	}
	fstest.Program(t, "debugfs", "-w", "-R", "rm deleted-name", path)
}

// content reads an image of any format.
func content(t *testing.T, path string) []byte {
	t.Helper()
	r, _, closer, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	b := make([]byte, r.Size())
	if err := sanitize.ReadFull(r, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

func isClear(t *testing.T, path string) {
	t.Helper()
	b := content(t, path)
	if bytes.Contains(b, []byte("DELETED-CONTENT")) || bytes.Contains(b, []byte("deleted-name")) || !bytes.Contains(b, []byte("LIVE-CONTENT")) {
		t.Errorf("%s holds what was deleted, or not what lives", path)
	}
}

// TestFormats writes every format from every other.
func TestFormats(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "disk.img")
	dirty(t, src)
	for _, format := range clean.Formats() {
		report, err := clean.Run(context.Background(), src, clean.Options{Format: format})
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		d := report.Disks[0]
		if !d.Proof.OK || d.Format != format || d.Stored == 0 || filepath.Dir(d.Output) != dir {
			t.Errorf("%s: %+v", format, d)
		}
		isClear(t, d.Output)
		again, err := clean.Run(context.Background(), d.Output, clean.Options{Out: filepath.Join(dir, "again")})
		if err != nil || again.Disks[0].Changed != 0 || again.Disks[0].Format != format {
			t.Errorf("%s again: %v", format, err)
		}
	}
}

const envelope = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
<References><File ovf:id="f1" ovf:href="one.vmdk"/><File ovf:id="f2" ovf:href="two.vmdk"/></References>
<DiskSection><Info>disks</Info>
<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="16777216" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
<Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="16777216" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
</DiskSection><VirtualSystem ovf:id="vm"><Info>a machine</Info></VirtualSystem></Envelope>`

// TestPackage takes both disks of an OVA.
func TestPackage(t *testing.T) {
	fstest.Need(t, "qemu-utils", "qemu-img")
	dir := t.TempDir()
	src := filepath.Join(dir, "disk.img")
	dirty(t, src)
	for _, name := range []string{"one.vmdk", "two.vmdk"} {
		fstest.Program(t, "qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", src, filepath.Join(dir, name))
	}
	if err := os.WriteFile(filepath.Join(dir, "vm.ovf"), []byte(envelope), 0o600); err != nil {
		t.Fatal(err)
	}
	ova := filepath.Join(dir, "vm.ova")
	fstest.Program(t, "tar", "--format=ustar", "-C", dir, "-cf", ova, "vm.ovf", "one.vmdk", "two.vmdk")
	out := filepath.Join(dir, "out")
	report, err := clean.Run(context.Background(), ova, clean.Options{Out: out, Format: "qcow2"})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"vm-one.sanitized.qcow2", "vm-two.sanitized.qcow2"} {
		if report.Disks[i].Output != filepath.Join(out, name) {
			t.Errorf("disk %d is %s", i, report.Disks[i].Output)
		}
		isClear(t, filepath.Join(out, name))
	}
	if _, err := clean.Run(context.Background(), ova, clean.Options{InPlace: true}); fault.KindOf(err) != fault.Usage {
		t.Errorf("in place: %v", err)
	}
}

// TestInUse refuses what somebody else may be writing to.
func TestInUse(t *testing.T) {
	fstest.Need(t, "qemu-utils", "qemu-io")
	src := filepath.Join(t.TempDir(), "disk.img")
	dirty(t, src)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "qemu-io", "-f", "raw", "-c", "sleep 60000", src)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 100 { // until it has the lock
		if _, err = clean.Run(context.Background(), src, clean.Options{DryRun: true}); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	_ = cmd.Wait()
	if err == nil || !strings.Contains(err.Error(), "a virtual machine writes to it") || fault.KindOf(err) != fault.Input {
		t.Errorf("the error is %v", err)
	}
	if os.Getuid() != 0 {
		return
	}
	dev, err := exec.Command("losetup", "-f", "--show", src).Output()
	if err != nil {
		t.Skipf("attaching a loop device: %v", err)
	}
	name := strings.TrimSpace(string(dev))
	defer func() { fstest.Program(t, "losetup", "-d", name) }()
	if _, err := clean.Run(context.Background(), src, clean.Options{InPlace: true}); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("behind a loop device: %v", err)
	}
	if report, err := clean.Run(context.Background(), name, clean.Options{InPlace: true}); err != nil || !report.Disks[0].Proof.OK {
		t.Errorf("a block device: %v", err)
	}
	isClear(t, src)
}

// TestLeavesNothing fails half-way and finds no file that it had begun.
func TestLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "disk.img")
	dirty(t, src)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := clean.Run(ctx, src, clean.Options{}); err == nil {
		t.Error("a cancelled run succeeds")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("the folder holds %s (%v)", fmt.Sprint(list), err)
	}
}
