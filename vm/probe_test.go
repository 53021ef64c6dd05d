package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// need returns the path of a program, or skips the test.
func need(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", program, pkg)
	}
	t.Skipf("%s is missing: install the package %s", program, pkg)
	return ""
}

// The assembler is the judge of the hand-written bytes.
func TestCanaryIsItsSource(t *testing.T) {
	t.Parallel()
	gcc, objcopy := need(t, "gcc", "gcc"), need(t, "objcopy", "binutils")
	dir := t.TempDir()
	elf, bin := filepath.Join(dir, "canary.elf"), filepath.Join(dir, "canary.bin")
	for _, cmd := range []*exec.Cmd{
		exec.Command(gcc, "-nostdlib", "-static", "-Wl,-Ttext=0x7c00,-e0x7c00,--build-id=none", "-o", elf, "testdata/canary.S"),
		exec.Command(objcopy, "-O", "binary", "-j", ".text", elf, bin),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	want, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	got := bootSector()
	if len(got) != 512 || got[510] != 0x55 || got[511] != 0xaa {
		t.Errorf("the boot sector has %d bytes and ends in % x", len(got), got[len(got)-2:])
	}
	if !bytes.Equal(got[:len(want)], want) {
		t.Errorf("bootSector begins with\n% x\nwant\n% x", got[:len(want)], want)
	}
}

func TestCanaryLives(t *testing.T) {
	t.Parallel()
	qemu := need(t, DefaultQEMU, "qemu-system-x86")
	if err := canary(t.Context(), qemu, TCG, time.Minute); err != nil {
		t.Errorf("canary under emulation: %v", err)
	}
}

// A processor without the features that the canary is about must pass too: a
// kernel would not use them.
func TestCanaryOnOldProcessor(t *testing.T) {
	t.Parallel()
	qemu := need(t, DefaultQEMU, "qemu-system-x86")
	image := filepath.Join(t.TempDir(), "canary.raw")
	if err := errors.Join(os.WriteFile(image, bootSector(), 0o600), os.Truncate(image, canarySize)); err != nil {
		t.Fatal(err)
	}
	args := append(canaryArguments(TCG, image), "-cpu", "qemu64,-cx16,-xsave")
	if err := runCanary(t.Context(), qemu, args); err != nil {
		t.Errorf("canary on qemu64: %v", err)
	}
}

// fakeQEMU is a program that behaves as QEMU was seen to on hosts with a
// broken KVM, which cannot be had at will.
func fakeQEMU(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCanaryDies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script, want string }{
		{"emulation failure", "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600", "KVM internal error. Suberror: 1"},
		{"no accelerator", "echo 'qemu: failed to initialize kvm: Permission denied' >&2; exit 1", "Permission denied"},
		{"silence", "exit 0", "without a sign of life"},
		{"hang", "exec sleep 600", "no sign of life within 200ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if test.name == "hang" {
				timeout = 200 * time.Millisecond
			}
			err := canary(t.Context(), fakeQEMU(t, test.script), KVM, timeout)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("canary = %v, want %q", err, test.want)
			}
		})
	}
}

func TestProbeWithoutDevice(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(kvmDevice); err == nil {
		t.Skipf("this host has %s", kvmDevice)
	}
	need(t, DefaultQEMU, "qemu-system-x86")
	accel, reason, err := Probe(t.Context(), "", t.TempDir())
	if err != nil || accel != TCG || !strings.Contains(reason, kvmDevice) {
		t.Errorf("Probe = %v, %q, %v; want tcg because of %s", accel, reason, err, kvmDevice)
	}
}

func TestVerdictHoldsForOneHost(t *testing.T) {
	t.Parallel()
	file := verdictFile(t.TempDir())
	v := verdict{Key: "QEMU 7.2; some processor; 6.1", Accel: TCG, Reason: "why"}
	v.save(file)
	if got, ok := loadVerdict(file, v.Key); !ok || got != v {
		t.Errorf("loadVerdict = %v, %v; want %v", got, ok, v)
	}
	if _, ok := loadVerdict(file, "QEMU 8.0; some processor; 6.1"); ok {
		t.Error("a verdict holds for another version of QEMU")
	}
}

func TestHostKey(t *testing.T) {
	t.Parallel()
	key, err := hostKey(t.Context(), need(t, DefaultQEMU, "qemu-system-x86"))
	if err != nil {
		t.Fatal(err)
	}
	if parts := strings.Split(key, "; "); len(parts) < 3 || !strings.HasPrefix(key, "QEMU emulator version") {
		t.Errorf("host key %q does not name QEMU, processor and kernel", key)
	}
}

func TestMissingQEMU(t *testing.T) {
	t.Parallel()
	m, err := New(Options{Disk: "d", QEMU: "qemu-that-does-not-exist"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Start(context.Background())
	if fault.KindOf(err) != fault.Environment || !strings.Contains(strings.Join(fault.HintsOf(err), " "), "qemu-system-x86") {
		t.Errorf("Start = %v with hints %q, want an environment fault that names the package", err, fault.HintsOf(err))
	}
}
