package vm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// kernelVariable names a bzImage with its drivers built in; the tests that boot
// Linux need one.
const kernelVariable = "IMGBUILD_TEST_KERNEL"

// guestKernel returns the kernel of the tests.
func guestKernel(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("boots Linux under emulation")
	}
	need(t, DefaultQEMU, "qemu-system-x86")
	path := os.Getenv(kernelVariable)
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatalf("%s names no bzImage: make test sets it", kernelVariable)
	}
	if path == "" {
		t.Skipf("%s names no bzImage", kernelVariable)
	}
	return path
}

// guestProgram builds testdata/guest once for all tests.
var guestProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "imgbuild-guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./testdata/guest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the guest: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// guestInitramfs returns an initramfs that holds the guest program as /init
// and as /sbin/poweroff.
func guestInitramfs(t *testing.T) string {
	t.Helper()
	program, err := guestProgram()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, e := range []struct {
		name string
		mode int
		data []byte
	}{
		{"init", 0o100755, program}, {"sbin", 0o40755, nil}, {"sbin/poweroff", 0o120777, []byte("/init")},
		{"TRAILER!!!", 0, nil},
	} {
		// Documentation/driver-api/early-userspace/buffer-format.rst
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			1, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0, e.name)
		b.Write(make([]byte, -b.Len()&3))
		b.Write(e.data)
		b.Write(make([]byte, -b.Len()&3))
	}
	path := filepath.Join(t.TempDir(), "initramfs.cpio")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// boot starts Linux with the guest program in the given mode.
func boot(t *testing.T, mode string, o Options) *Running {
	t.Helper()
	o.Kernel, o.Initramfs = guestKernel(t), guestInitramfs(t)
	o.Accel, o.Memory = TCG, 256<<20
	o.Cmdline = "console=ttyS0 quiet ip=dhcp guest=" + mode + " " + o.Cmdline
	r := start(t.Context(), t, o)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the console:%s", quote(r.Console().Tail(40)))
		}
	})
	return r
}
