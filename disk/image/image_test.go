package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/disk/vmdk"
)

func TestOpen(t *testing.T) {
	want := disk.NewMemory(4 << 20)
	if _, err := want.WriteAt([]byte("some data"), 1_234_567); err != nil {
		t.Fatal(err)
	}
	for format, create := range map[string]func(*os.File) (disk.Sink, error){
		"raw":   func(f *os.File) (disk.Sink, error) { return raw.Create(f, want.Size()) },
		"qcow2": func(f *os.File) (disk.Sink, error) { return qcow2.Create(f, want.Size(), qcow2.Options{}) },
		"vmdk":  func(f *os.File) (disk.Sink, error) { return vmdk.Create(f, want.Size(), vmdk.Options{}) },
		"vhdx":  func(f *os.File) (disk.Sink, error) { return vhdx.Create(f, want.Size(), vhdx.Options{}) },
		"vhd":   func(f *os.File) (disk.Sink, error) { return vhd.Create(f, want.Size(), vhd.Options{}) },
	} {
		path := filepath.Join(t.TempDir(), "disk")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		sink, err := create(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(disk.Copy(t.Context(), want, nil, sink), sink.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		r, got, closer, err := image.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != format {
			t.Errorf("%s was taken for %s", format, got)
		}
		disktest.TestReader(t, r, want)
		// The holes of the container are known, and those of a raw file.
		if e, err := r.NextData(0); err != nil || e.Off == 0 || e.Len > 1<<16 {
			t.Errorf("%s: data in %v (%v)", format, e, err)
		}
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenDamaged(t *testing.T) {
	for _, magic := range []string{qcow2.Magic, vmdk.Magic, vmdk.DescriptorMagic, vhd.Magic, vhdx.Magic} {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, []byte(magic), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := image.Open(path); err == nil {
			t.Errorf("%q: opened", magic)
		}
	}
	if _, _, _, err := image.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
