// Command containers converts a disk image, for bench/containers.sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/sparse"
	"github.com/imgbuild/imgbuild/disk/vmdk"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: containers raw|sparse|qcow2|qcow2-deflate|qcow2-zstd|vmdk IN OUT")
		os.Exit(2)
	}
	if err := convert(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		os.Exit(1)
	}
}

func convert(ctx context.Context, format, in, out string) error {
	src, _, closer, err := image.Open(in)
	if err != nil {
		return err
	}
	defer closer.Close()
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	sink, err := create(format, f, src.Size())
	if err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(disk.Copy(ctx, src, nil, sink), sink.Close(), f.Close())
}

func create(format string, f *os.File, size int64) (disk.Sink, error) {
	switch format {
	case "raw":
		return raw.Create(f, size)
	case "sparse":
		return sparse.NewWriter(f, size), nil
	case "qcow2":
		return qcow2.Create(f, size, qcow2.Options{})
	case "qcow2-deflate":
		return qcow2.Create(f, size, qcow2.Options{Compression: qcow2.Deflate})
	case "qcow2-zstd":
		return qcow2.Create(f, size, qcow2.Options{Compression: qcow2.Zstd})
	case "vmdk":
		return vmdk.Create(f, size, vmdk.Options{})
	}
	return nil, fmt.Errorf("unknown format %q", format)
}
