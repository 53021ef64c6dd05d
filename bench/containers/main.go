// Command containers converts a disk image, for bench/containers.sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/sparse"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/output/tarred"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: containers FORMAT[,FORMAT...] IN OUT")
		os.Exit(2)
	}
	if err := convert(context.Background(), strings.Split(os.Args[1], ","), os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		os.Exit(1)
	}
}

// convert writes one format into the file out, several in one pass into files
// with the format behind the name.
func convert(ctx context.Context, formats []string, in, out string) error {
	src, _, closer, err := image.Open(in)
	if err != nil {
		return err
	}
	defer closer.Close()
	var sinks []disk.Sink
	var files []io.Closer
	for _, format := range formats {
		path := out
		if len(formats) > 1 {
			path += "." + format
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		sink, err := create(format, f, src.Size())
		if err != nil {
			return errors.Join(err, f.Close())
		}
		sinks, files = append(sinks, sink), append(files, f)
	}
	errs := []error{disk.Copy(ctx, src, nil, sinks...)}
	for i, sink := range sinks {
		errs = append(errs, sink.Close(), files[i].Close())
	}
	return errors.Join(errs...)
}

// creators are the formats, and their names on the command line.
var creators = map[string]func(f *os.File, size int64) (disk.Sink, error){
	"raw":           raw.Create,
	"sparse":        func(f *os.File, size int64) (disk.Sink, error) { return sparse.NewWriter(f, size), nil },
	"qcow2":         inQcow2(qcow2.None),
	"qcow2-deflate": inQcow2(qcow2.Deflate),
	"qcow2-zstd":    inQcow2(qcow2.Zstd),
	"vmdk":          inVMDK(vmdk.StreamOptimized),
	"vmdk-sparse":   inVMDK(vmdk.MonolithicSparse),
	"vhd":           inVHD(vhd.Dynamic),
	"vhd-fixed":     inVHD(vhd.Fixed),
	"vhdx":          func(f *os.File, size int64) (disk.Sink, error) { return vhdx.Create(f, size, vhdx.Options{}) },
	"xz":            in(packed.XZ),
	"zst":           in(packed.Zstd),
	"gz":            in(packed.Gzip),
	"ovm":           createOVM,
	"xva":           createXVA,
}

func inQcow2(c qcow2.Compression) func(*os.File, int64) (disk.Sink, error) {
	return func(f *os.File, size int64) (disk.Sink, error) {
		return qcow2.Create(f, size, qcow2.Options{Compression: c})
	}
}

func inVMDK(kind vmdk.Type) func(*os.File, int64) (disk.Sink, error) {
	return func(f *os.File, size int64) (disk.Sink, error) { return vmdk.Create(f, size, vmdk.Options{Type: kind}) }
}

func inVHD(kind vhd.Type) func(*os.File, int64) (disk.Sink, error) {
	return func(f *os.File, size int64) (disk.Sink, error) { return vhd.Create(f, size, vhd.Options{Type: kind}) }
}

func in(kind packed.Kind) func(*os.File, int64) (disk.Sink, error) {
	return func(f *os.File, size int64) (disk.Sink, error) { return packed.Create(f, size, kind) }
}

// createOVM makes a template without its vm.cfg.
func createOVM(f *os.File, size int64) (disk.Sink, error) {
	header, err := tarred.File("System.img", size, time.Unix(0, 0))
	if err != nil {
		return nil, err
	}
	a, err := tarred.NewPacked(f, tarred.Block+tarred.Blocks(size))
	if err != nil {
		return nil, err
	}
	err = a.Add(header)
	return template{a.Disk(size), a}, err
}

// template is a disk whose end is that of the archive.
type template struct {
	io.WriterAt
	io.Closer
}

// createXVA makes an export without its records, and without its end.
func createXVA(f *os.File, size int64) (disk.Sink, error) {
	a, err := xva.NewWriter(f, xva.Options{Description: []byte("<value/>")})
	if err != nil {
		return nil, err
	}
	return a.Disk("Ref:3", size)
}

func create(format string, f *os.File, size int64) (disk.Sink, error) {
	begin, known := creators[format]
	if !known {
		return nil, fmt.Errorf("unknown format %q", format)
	}
	return begin(f, size)
}
