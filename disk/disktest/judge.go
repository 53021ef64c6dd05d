package disktest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

// Program returns the path of a program that judges. Where it is missing the
// test is skipped, or fails when the environment variable CI is "true".
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is needed: install the Debian package %s", name, pkg)
	}
	t.Skipf("%s is not installed: it is in the Debian package %s", name, pkg)
	return ""
}

// Run runs a program that must succeed, and returns what it wrote.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out.Bytes())
	}
	return out.String()
}

// RawFile writes a disk as a raw file, padded to whole sectors as qemu-img
// reads it, and returns its path.
func RawFile(t testing.TB, d disk.Reader) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raw")
	f, err := disk.CreateFile(path, (d.Size()+511)/512*512)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.Copy(t.Context(), d, nil, f); err != nil {
		t.Fatal(err)
	}
	return path
}

// Walk reads a disk that a fuzzer made, as far as that is quick. Its runs must
// ascend and lie on the disk.
func Walk(t testing.TB, r disk.Reader) {
	t.Helper()
	last := int64(0)
	for e, err := range disk.DataExtents(r) {
		if err != nil || last > 1<<32 {
			return
		}
		if e.Off < last || e.End() > r.Size() {
			t.Fatalf("run %v after %d in a disk of %d bytes", e, last, r.Size())
		}
		last = e.End()
		// Damage may make it fail; it must not do worse.
		_, _ = r.ReadAt(make([]byte, min(e.Len, 1<<16)), e.Off)
	}
}
