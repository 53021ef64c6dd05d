package stages

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
)

// TestPVPacker lets GRUB unpack what was packed in several blocks: its program
// for tests reads files as it does at boot. The number of threads must not show.
func TestPVPacker(t *testing.T) {
	xz := disktest.Program(t, "xz", "xz-utils")
	grub := disktest.Program(t, "grub-fstest", "grub-common")
	text := make([]byte, 17<<20)
	for off := 0; off < len(text); off += 4 << 10 {
		copy(text[off:], fmt.Sprintf("%d call %x\xe8\x10\x20\x00\x00", off, off*off))
	}
	dir := t.TempDir()
	plain, packed, image := filepath.Join(dir, "vmlinux"), filepath.Join(dir, "vmlinux.xz"), filepath.Join(dir, "disk")
	for path, content := range map[string][]byte{plain: text, image: make([]byte, 1<<20)} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	disktest.Run(t, xz, append(slices.Clone(pvPacker), "--keep", plain)...)
	made, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := exec.Command(grub, "--uncompress", image, "cat", "(host)"+packed).Output()
	if err != nil || !bytes.Equal(unpacked, text) {
		t.Errorf("GRUB unpacks %d bytes of %d (%v)", len(unpacked), len(text), err)
	}
	two, err := exec.Command(xz, append(slices.Clone(pvPacker), "--threads=2", "--stdout", plain)...).Output()
	if err != nil || !bytes.Equal(two, made) {
		t.Errorf("two threads make %d bytes, four %d, or others (%v)", len(two), len(made), err)
	}
}
