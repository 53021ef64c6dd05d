package stages

import (
	"archive/zip"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
)

// packJar packs a folder of classes and resources as a jar. Entries are stored
// as they are, in the order of names and without times: the root filesystem
// compresses, and the same folder gives the same bytes.
func packJar(folder, jar string) error {
	f, err := os.Create(jar)
	if err != nil {
		return err
	}
	defer f.Close()
	z := zip.NewWriter(f)
	err = filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: filepath.ToSlash(rel), Method: zip.Store})
		if err != nil {
			return err
		}
		src, err := os.Open(name)
		if err != nil {
			return err
		}
		defer src.Close()
		_, err = io.Copy(w, src)
		return err
	})
	if err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

// checkStatic refuses a program that the guest could not start: it has no
// libraries but those that a runtime brings.
func checkStatic(name, host string) error {
	f, err := elf.Open(host)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("%s is no ELF program: %w", name, err), "app.binary is a static program for linux/amd64")
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fault.New(fault.Input, fmt.Errorf("%s is a program for %s", name, f.Machine), "build it for linux/amd64")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fault.New(fault.Input, fmt.Errorf("%s is linked dynamically", name), "link it statically; for Go: CGO_ENABLED=0 go build")
		}
	}
	return nil
}
