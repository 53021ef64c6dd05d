package packaged

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/init/config"
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
// folders that init mounts on before there is a root, and /dev/console, without
// which init would start with no standard output. The same options give the
// same bytes: every file belongs to root and is of 1970.
func Initramfs(ctx context.Context, w io.Writer, o Options) error {
	var z io.WriteCloser
	var err error
	switch o.Compression {
	case "", kernel.Uncompressed:
		return writeArchive(ctx, w, o)
	case kernel.Zstd:
		z, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	case kernel.Gzip:
		z, err = gzip.NewWriterLevel(w, gzip.BestCompression)
	default:
		err = fmt.Errorf("%s is not written here", o.Compression)
	}
	if err != nil {
		return fmt.Errorf("compressing the initramfs: %w", err)
	}
	if err := writeArchive(ctx, z, o); err != nil {
		z.Close()
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compressing the initramfs: %w", err)
	}
	return nil
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
	switch {
	case err != nil:
		return "", err
	case config["RD_ZSTD"] == "y":
		return kernel.Zstd, nil
	case config["RD_GZIP"] == "y":
		return kernel.Gzip, nil
	}
	return kernel.Uncompressed, nil
}

// writeArchive writes in the form newc (Documentation/driver-api/early-userspace/
// buffer-format.rst). A folder comes before what is in it.
func writeArchive(ctx context.Context, w io.Writer, o Options) error {
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
	a := &archive{w: cpio.Newc.Writer(w), folders: map[string]bool{".": true}}
	for _, mountPoint := range []string{"dev", "proc", "sys"} {
		a.folder(mountPoint)
	}
	a.add(cpio.CharDev("dev/console", 0o600, 5, 1))
	a.file("init", o.Init, 0o755)
	a.file(config.InitramfsPath[1:], append(text, '\n'), 0o644)
	for i, m := range o.Modules {
		if err := ctx.Err(); err != nil {
			return err
		}
		module, err := readModule(m.Path)
		if err != nil {
			return fmt.Errorf("reading module %s: %w", m.Name, err)
		}
		a.file(places[i], module, 0o644)
	}
	if a.err == nil {
		a.err = cpio.WriteTrailer(a.w)
	}
	if a.err != nil {
		return fmt.Errorf("writing the initramfs: %w", a.err)
	}
	return nil
}

// archive writes records until the first error.
type archive struct {
	w       cpio.RecordWriter
	folders map[string]bool
	err     error
}

func (a *archive) add(r cpio.Record) {
	if a.err == nil {
		a.err = a.w.WriteRecord(cpio.MakeReproducible(r))
	}
}

func (a *archive) folder(name string) {
	if a.folders[name] {
		return
	}
	a.folder(path.Dir(name))
	a.folders[name] = true
	a.add(cpio.Directory(name, 0o755))
}

func (a *archive) file(name string, content []byte, perm uint64) {
	a.folder(path.Dir(name))
	a.add(cpio.Record{
		ReaderAt: bytes.NewReader(content),
		Info:     cpio.Info{Name: name, Mode: cpio.S_IFREG | perm, FileSize: uint64(len(content))},
	})
}
