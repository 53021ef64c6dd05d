package packaged

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/initramfs"
)

// Options say what goes into an initramfs.
type Options struct {
	Package Package
	Modules []Module // in load order, from [Resolve]
	Init    []byte   // the guest's init, a static program
	// Compression is kernel.Zstd, kernel.Gzip or kernel.Uncompressed, the zero
	// value standing for the latter; see [Package.Compression].
	Compression kernel.Compression
}

// Initramfs writes an initramfs: /init, /initramfs.json, the modules, the
// folders that init mounts on before there is a root, and /dev/console. The
// same options give the same bytes: every file belongs to root and is of 1970.
func Initramfs(ctx context.Context, w io.Writer, o Options) error {
	places := make([]string, len(o.Modules))
	list := config.Initramfs{Modules: []string{}}
	for i, m := range o.Modules {
		place, err := m.inside(o.Package)
		if err != nil {
			return err
		}
		places[i] = place
		list.Modules = append(list.Modules, "/"+place)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("writing the list of modules: %w", err)
	}
	a, err := initramfs.New(w, o.Compression)
	if err != nil {
		return err
	}
	for _, mountPoint := range []string{"dev", "proc", "sys"} {
		a.Folder(mountPoint)
	}
	a.Console()
	a.File("init", o.Init, 0o755)
	a.File(config.InitramfsPath[1:], append(text, '\n'), 0o644)
	for i, m := range o.Modules {
		module, err := readModule(m.Path)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reading module %s: %w", m.Name, err), a.Close())
		}
		a.File(places[i], module, 0o644)
	}
	return a.Close()
}

// Compression returns the best that the kernel unpacks an initramfs with, by
// its configuration. Of a kernel without one gzip is taken, the only one that
// all distributions have kept.
func (p Package) Compression() (kernel.Compression, error) {
	if p.Config == "" {
		return kernel.Gzip, nil
	}
	f, err := os.Open(p.Config)
	if err != nil {
		return "", fmt.Errorf("reading the kernel's configuration: %w", err)
	}
	defer f.Close()
	config, err := kernel.ParseConfig(f)
	if err != nil {
		return "", err
	}
	return initramfs.Best(config), nil
}
