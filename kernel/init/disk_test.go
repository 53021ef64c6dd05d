package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// The partitions of partitioned, and its disk signature as an MBR disk.
const (
	rootUUID = "0B7E8C1A-2D3F-4A5B-8C6D-7E8F90A1B2C3"
	dataUUID = "5F6A7B8C-9D0E-4F1A-B2C3-D4E5F6A7B8C9"
)

// partitioned makes a GPT disk by sfdisk: the root in partition 1 and an empty
// ext4 for data in partition 3, both numbers on purpose.
func partitioned(t *testing.T, root string) string {
	t.Helper()
	need(t, "sfdisk", "fdisk")
	need(t, "mkfs.ext4", "e2fsprogs")
	dir := t.TempDir()
	disk, data := filepath.Join(dir, "disk"), filepath.Join(dir, "data")
	const mib = 1 << 20
	must(t, os.WriteFile(disk, nil, 0o644))
	must(t, os.Truncate(disk, 64*mib))
	script := fmt.Sprintf("label: gpt\n1: start=2048, size=65536, uuid=%s\n3: start=81920, size=32768, uuid=%s\n", rootUUID, dataUUID)
	cmd := exec.Command("sfdisk", "-q", disk)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	must(t, os.WriteFile(data, nil, 0o644))
	must(t, os.Truncate(data, 16*mib))
	run(t, "", "mkfs.ext4", "-q", "-E", "root_owner=0:0", data)
	splice(t, disk, root, 2048*512)
	splice(t, disk, data, 81920*512)
	return disk
}

func splice(t *testing.T, disk, from string, offset int64) {
	t.Helper()
	src, err := os.Open(from)
	must(t, err)
	defer src.Close()
	dst, err := os.OpenFile(disk, os.O_WRONLY, 0)
	must(t, err)
	_, err = io.Copy(io.NewOffsetWriter(dst, offset), src)
	must(t, err)
	must(t, dst.Close())
}

// dataFeatures returns what dumpe2fs tells of the data partition.
func dataFeatures(t *testing.T, disk string) string {
	t.Helper()
	need(t, "dumpe2fs", "e2fsprogs")
	src, err := os.Open(disk)
	must(t, err)
	defer src.Close()
	data := filepath.Join(t.TempDir(), "data")
	dst, err := os.Create(data)
	must(t, err)
	_, err = io.Copy(dst, io.NewSectionReader(src, 81920*512, 16<<20))
	must(t, err)
	must(t, dst.Close())
	for line := range strings.Lines(run(t, "", "dumpe2fs", "-h", data)) {
		if features, ok := strings.CutPrefix(line, "Filesystem features:"); ok {
			return features
		}
	}
	t.Fatal("dumpe2fs tells no features")
	return ""
}

// withData is the serving guest with a data partition and a bounded /tmp.
func withData() config.Guest {
	g := serving()
	g.Mounts = []config.Mount{
		{Source: "PARTUUID=" + strings.ToLower(dataUUID), Path: "/data", Type: "ext4"},
		{Source: "tmpfs", Path: "/tmp", Type: "tmpfs", Size: 1 << 20, Mode: 0o1777},
	}
	return g
}

// debianInitramfs makes an initramfs for a Debian kernel package, unpacked and
// run through depmod in the folder that IMGBUILD_TEST_DEBIAN names.
func debianInitramfs(t *testing.T) (kernel, initrd string) {
	t.Helper()
	dir := os.Getenv("IMGBUILD_TEST_DEBIAN")
	if dir == "" && os.Getenv("CI") == "true" {
		t.Fatal("IMGBUILD_TEST_DEBIAN names no unpacked kernel package: make test sets it")
	}
	if dir == "" {
		t.Skip("IMGBUILD_TEST_DEBIAN names no unpacked kernel package")
	}
	need(t, "cpio", "cpio")
	kernels, _ := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	deps, _ := filepath.Glob(filepath.Join(dir, "lib/modules/*/modules.dep"))
	if len(kernels) != 1 || len(deps) != 1 {
		t.Fatalf("%s: kernels %v, modules %v", dir, kernels, deps)
	}
	root := t.TempDir()
	var list config.Initramfs
	for _, m := range closure(t, deps[0], "virtio_pci", "virtio_blk", "virtio_net", "erofs", "evdev", "button", "xen-blkfront") {
		to := filepath.Join(root, m)
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		b, err := os.ReadFile(filepath.Join(filepath.Dir(deps[0]), m))
		must(t, err)
		must(t, os.WriteFile(to, b, 0o644))
		list.Modules = append(list.Modules, "/"+m)
	}
	for _, sub := range []string{"proc", "sys", "dev"} {
		must(t, os.MkdirAll(filepath.Join(root, sub), 0o755))
	}
	text, err := json.Marshal(list)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, config.InitramfsPath), text, 0o644))
	must(t, os.Link(filepath.Join(built(t), "init"), filepath.Join(root, "init")))
	initrd = filepath.Join(t.TempDir(), "initrd")
	run(t, root, "sh", "-c", "find . | cpio --quiet -o -H newc >"+initrd)
	return kernels[0], initrd
}

// closure returns modules in an order in which they load.
func closure(t *testing.T, depFile string, names ...string) []string {
	t.Helper()
	text, err := os.ReadFile(depFile)
	must(t, err)
	deps := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		path, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		deps[path] = strings.Fields(needs)
	}
	var order []string
	seen := make(map[string]bool)
	var add func(string)
	add = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		for _, d := range deps[path] {
			add(d)
		}
		order = append(order, path)
	}
	for _, name := range names {
		for path := range deps {
			if filepath.Base(path) == name+".ko" {
				add(path)
			}
		}
	}
	return order
}
