package raw_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/raw"
)

func TestFormat(t *testing.T) {
	disktest.TestFormat(t, disktest.Format{
		Create: raw.Create,
		Open:   func(f *os.File, n int64) (disk.Reader, error) { return raw.Open(f, n) },
	})
}

func TestOpenPlainReader(t *testing.T) {
	want := disk.NewMemory(10_000)
	if _, err := want.WriteAt([]byte("hello"), 5000); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, want.Size())
	copy(content[5000:], "hello")
	r, err := raw.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	disktest.TestReader(t, r, want)
}
