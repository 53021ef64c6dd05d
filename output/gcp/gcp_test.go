package gcp_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/gcp"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: gcp.Format{}, Files: []string{"hello-jvm-gcp.tar.gz"}, Check: check})
}

// check lets GNU tar list and unpack the archive and qemu-img compare what
// comes out.
func check(t *testing.T, m outputtest.Made) {
	tar := disktest.Program(t, "tar", "tar")
	path := m.Dir.Path("hello-jvm-gcp.tar.gz")
	checkMagic(t, path)
	if s := filepath.Base(t.Name()); testing.Short() || s != "mixed" && s != "partial_grain" {
		return // unpacking a GiB of holes takes seconds
	}
	raw := filepath.Join(t.TempDir(), "disk.raw")
	var members strings.Builder
	cmd := exec.CommandContext(t.Context(), tar, "-xvzOf", path)
	cmd.Stderr = &members // beside the content
	if size := unpack(t, cmd, raw); size != 1<<30 || members.String() != "disk.raw\n" {
		t.Errorf("the archive holds %q of %d bytes for a disk of %d", members.String(), size, m.Disk.Size())
	}
	outputtest.Compare(t, m, "raw", raw)
}

// unpack writes what a program prints into a sparse file, and returns its
// size.
func unpack(t *testing.T, cmd *exec.Cmd, path string) int64 {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	var size int64
	for {
		n, err := io.ReadFull(out, buf)
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := f.WriteAt(buf[:n], size); err != nil {
				t.Fatal(err)
			}
		}
		size += int64(n)
		if err != nil {
			break // the program says whether that was the end
		}
	}
	if err := errors.Join(cmd.Wait(), f.Truncate(size)); err != nil {
		t.Fatal(err)
	}
	return size
}

// checkMagic tells the old GNU format from POSIX: two blanks and a zero.
func checkMagic(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 512)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	if magic := string(head[257:265]); magic != "ustar  \x00" {
		t.Errorf("the magic is %q", magic)
	}
}
