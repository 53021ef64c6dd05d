package outputtest

import (
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
)

// Compare lets qemu-img compare an image with the disk of an appliance. name
// is a file name, or a "json:" description as QEMU takes it.
func Compare(t *testing.T, m Made, format, name string) {
	t.Helper()
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	disktest.Run(t, qemu, "compare", "-f", "raw", "-F", format, Raw(t, m.Disk), name)
}

// Raw writes a disk as a raw file and returns its path.
func Raw(t *testing.T, d disk.Reader) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raw")
	f, err := disk.CreateFile(path, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.Copy(t.Context(), d, nil, f); err != nil {
		t.Fatal(err)
	}
	return path
}
