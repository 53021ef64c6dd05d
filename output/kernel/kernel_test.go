package kernel_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/kernel"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// appliance has a kernel of a size that a small file system cannot hold.
func appliance(t *testing.T, initramfs bool) output.Appliance {
	t.Helper()
	dir := t.TempDir()
	a := outputtest.Appliance()
	a.Kernel.Image = filepath.Join(dir, "image")
	if err := os.WriteFile(a.Kernel.Image, bytes.Repeat([]byte("kernel"), 50_000), 0o400); err != nil {
		t.Fatal(err)
	}
	if initramfs {
		a.Kernel.Initramfs = filepath.Join(dir, "initramfs")
		if err := os.WriteFile(a.Kernel.Initramfs, []byte("initramfs"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestFormat(t *testing.T) {
	for name, files := range map[string][]string{
		"kernel only": {"hello-jvm.cmdline", "hello-jvm.vmlinuz"},
		"initramfs":   {"hello-jvm.cmdline", "hello-jvm.initrd", "hello-jvm.vmlinuz"},
	} {
		t.Run(name, func(t *testing.T) {
			outputtest.Test(t, outputtest.Format{
				Format: kernel.Format{}, Appliance: appliance(t, len(files) == 3), Files: files, Check: check,
			})
		})
	}
}

func check(t *testing.T, m outputtest.Made) {
	k := m.Appliance.Kernel
	for name, want := range map[string]string{"vmlinuz": k.Image, "initrd": k.Initramfs} {
		got, err := os.ReadFile(m.Dir.Path("hello-jvm." + name))
		if want == "" {
			if err == nil {
				t.Errorf("there is a file %s", name)
			}
			continue
		}
		if b, wantErr := os.ReadFile(want); err != nil || wantErr != nil || !bytes.Equal(b, got) {
			t.Errorf("%s is not what it was: %v, %v", name, err, wantErr)
		}
	}
	if b, err := os.ReadFile(m.Dir.Path("hello-jvm.cmdline")); err != nil || string(b) != k.Cmdline+"\n" {
		t.Errorf("the command line is %q, %v", b, err)
	}
}

func TestNothingToWrite(t *testing.T) {
	missing := outputtest.Appliance()
	missing.Kernel.Image = filepath.Join(t.TempDir(), "none")
	for name, a := range map[string]output.Appliance{"no kernel": outputtest.Appliance(), "missing kernel": missing} {
		dir := t.TempDir()
		d, err := output.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		selected := []output.Selected{{Format: kernel.Format{}, Writer: kernel.Format{}}}
		files, err := output.Write(t.Context(), a, disk.NewMemory(1<<20), d, selected, nil)
		if left, _ := os.ReadDir(dir); err == nil || len(files)+len(left) > 0 {
			t.Errorf("%s: %v, %v, %v", name, files, left, err)
		}
	}
}
