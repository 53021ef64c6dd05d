package matrix

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
)

func TestShare(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, test := range []struct {
		hostCPUs   int
		hostMemory int64
		cpus       int
		memory     int64
		accel      vm.Accel
		want       int
	}{
		{2, 22 * gib, 1, 256 << 20, vm.TCG, 1},
		{8, 22 * gib, 1, 256 << 20, vm.TCG, 4},
		{8, 22 * gib, 2, 256 << 20, vm.KVM, 4},
		{64, 8 * gib, 1, gib, vm.TCG, 4},
		{64, gib / 2, 1, gib, vm.KVM, 1},
		{16, 0, 1, gib, vm.KVM, 16},
		{1, 22 * gib, 4, gib, vm.KVM, 1},
	} {
		if got := share(test.hostCPUs, test.hostMemory, test.cpus, test.memory, test.accel); got != test.want {
			t.Errorf("share(%+v) = %d", test, got)
		}
	}
	if available() < 1<<20 {
		t.Errorf("this host has %d bytes available", available())
	}
}

// An image has one digest, whatever its container: that of its raw bytes.
func TestDigest(t *testing.T) {
	t.Parallel()
	qemuImg, err := exec.LookPath("qemu-img")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("qemu-img is missing: install the package qemu-utils")
		}
		t.Skip("qemu-img is missing: install the package qemu-utils")
	}
	dir := t.TempDir()
	raw, qcow2 := filepath.Join(dir, "a.raw"), filepath.Join(dir, "a.qcow2")
	content := make([]byte, 5<<20)
	copy(content[3<<20:], "in the middle")
	f, err := os.Create(raw)
	if err != nil {
		t.Fatal(err)
	}
	_, werr := f.WriteAt([]byte("in the middle"), 3<<20)
	if err := errors.Join(werr, f.Truncate(int64(len(content))), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(qemuImg, "convert", "-O", "qcow2", raw, qcow2).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sum := sha256.Sum256(content)
	want := "sha256:" + hex.EncodeToString(sum[:])
	for _, path := range []string{raw, qcow2} {
		got, size, err := digest(t.Context(), path)
		if err != nil || got != want || size != int64(len(content)) {
			t.Errorf("digest(%s) = %s, %d, %v; want %s, %d", path, got, size, err, want, len(content))
		}
	}
	if _, _, err := digest(t.Context(), filepath.Join(dir, "none")); fault.KindOf(err) != fault.Input {
		t.Errorf("the digest of no file gave %v", err)
	}
}

// A disk that holds nothing fails on every target, each with its own reason,
// and none keeps the others from being tested.
func TestNothingBoots(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath(vm.DefaultQEMU); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("QEMU is missing: install the package qemu-system-x86")
		}
		t.Skip("QEMU is missing: install the package qemu-system-x86")
	}
	disk := filepath.Join(t.TempDir(), "empty.raw")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 1<<20)); err != nil {
		t.Fatal(err)
	}
	targets, err := target.Find("bios", "direct", "ide")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	r, err := Test(t.Context(), Options{
		Machine: vm.Options{Disk: disk, Accel: vm.TCG}, Targets: targets, Parallel: 3,
		Checks: vm.Checks{List: []recipes.Check{{Console: &recipes.ConsoleCheck{Match: "never"}}}},
		Tell:   func(name string, run *Run) { told = append(told, name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.OK || fault.KindOf(r.Err()) != fault.Check || len(told) != 6 || r.Size != 1<<20 {
		t.Errorf("the result is %+v, %v; told %v", r, r.Err(), told)
	}
	for i, want := range []string{"bios", "direct", "ide"} {
		run := r.Runs[i]
		if run.Target != want || run.OK() || len(run.Results) != 1 {
			t.Errorf("run %d is %+v", i, run)
		}
	}
	if r.Runs[1].Results[0].Check != "start" || r.Runs[0].Results[0].Check != "console never" {
		t.Errorf("the checks are %+v and %+v", r.Runs[1].Results, r.Runs[0].Results)
	}
}

// A machine on Xen counts with its dom0.
func TestLargest(t *testing.T) {
	t.Parallel()
	bios, err := target.Find("bios")
	if err != nil {
		t.Fatal(err)
	}
	both, err := target.Find("bios", "xen-hvm")
	if err != nil {
		t.Fatal(err)
	}
	o := vm.Options{Memory: 256 << 20}
	if cpus, memory := bios[0].Fill(o).Size(); cpus != 1 || memory != 256<<20 {
		t.Errorf("bios needs %d processors, %d bytes", cpus, memory)
	}
	cpus, memory := both[1].Fill(o).Size()
	if cpus != 2 || memory < 1<<30 {
		t.Errorf("xen-hvm needs %d processors, %d bytes", cpus, memory)
	}
	if got, want := parallel(o, both, vm.TCG), share(runtime.NumCPU(), available(), 2, memory, vm.TCG); got > want {
		t.Errorf("parallel = %d, want %d as for xen-hvm alone", got, want)
	}
}
