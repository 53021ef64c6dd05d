package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/source"
)

// FuzzOpen opens what may be anything, and reads the disks that it finds.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "tree.tar")
	if err := outputtest.Tree(f).Export(f.Context(), path, "docker.io/library/hello:1"); err != nil {
		f.Fatal(err)
	}
	seed := func(path string) {
		p, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	seed(path)
	tar := disktest.Program(f, "tar", "tar")
	for _, name := range []string{"disk.raw", "metadata.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), append(make([]byte, 8191), 1), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	for _, form := range [][]string{{"--format=oldgnu", "-Sczf"}, {"--format=posix", "-Scf"}, {"--format=ustar", "-cf"}} {
		disktest.Run(f, tar, "-C", dir, form[0], form[1], path, "disk.raw", "metadata.json")
		seed(path)
	}
	if err := os.WriteFile(filepath.Join(dir, "vm.cfg"), []byte("disk = ['file:disk.raw,xvda,w']\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	disktest.Run(f, tar, "-C", dir, "-czf", path, "vm.cfg", "disk.raw")
	seed(path)
	out, err := output.OpenDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	export, err := formats.Select("xva", nil)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := output.Write(f.Context(), outputtest.Appliance(), disk.NewMemory(8192), out, []output.Selected{export}, nil); err != nil {
		f.Fatal(err)
	}
	seed(out.Path("hello-jvm.xva"))
	file := filepath.Join(dir, "fuzzed")
	f.Fuzz(func(t *testing.T, p []byte) {
		if err := os.WriteFile(file, p, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := source.Open(t.Context(), file)
		if err != nil {
			return
		}
		defer s.Close()
		for _, d := range s.Disks {
			if r, _, err := d.Open(); err == nil && r.Size() < 1<<30 {
				r.NextData(0)
			}
		}
	})
}
