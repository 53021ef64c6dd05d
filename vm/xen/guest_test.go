package xen

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]Guest{
		"pvh":    {Mode: PVH, Memory: 256 << 20, CPUs: 1, NIC: true, Disk: true},
		"pv":     {Mode: PV, Memory: 64<<20 + 5, CPUs: 2, Disk: true},
		"hvm":    {Mode: HVM, Memory: 512 << 20, CPUs: 1, NIC: true, Disk: true},
		"direct": {Mode: PV, Kernel: "/k", Initramfs: "/i", Cmdline: `console=hvc0 dyndbg="file a.c +p"`, Memory: 256 << 20, CPUs: 1},
	} {
		golden := filepath.Join("testdata", name+".cfg")
		got := g.config()
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPack reads the archives with cpio, joined as the kernel reads them.
func TestPack(t *testing.T) {
	t.Parallel()
	program := cpioProgram(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	kernel := filepath.Join(dir, "kernel")
	for path, text := range map[string]string{
		filepath.Join(root, "bin/busybox"): "b", filepath.Join(root, "usr/bin/xl"): "x",
		filepath.Join(root, "usr/bin/other"): "o", kernel: "the kernel",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("xl", filepath.Join(root, "usr/bin/xm")); err != nil {
		t.Fatal(err)
	}
	err := writeInitramfs(dir, func(w *cpioWriter) error {
		if err := addScripts(w); err != nil {
			return err
		}
		return addFiles(w, root, []string{"bin/busybox", "usr/bin/x?", "usr/*/xl"})
	})
	if err != nil {
		t.Fatal(err)
	}
	h := Host{initramfs: []string{filepath.Join(dir, initramfsFile)}}
	var packed bytes.Buffer
	if err := h.Pack(&packed, Guest{Mode: PVH, Kernel: kernel}); err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile(h.initramfs[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, program, base), "bin bin/busybox etc etc/xen etc/xen/scripts etc/xen/scripts/block etc/xen/scripts/vif-bridge "+
		"etc/xen/xl.conf init usr usr/bin usr/bin/xl usr/bin/xm"; got != want {
		t.Errorf("the host holds %s, want %s", got, want)
	}
	if got, want := list(t, program, packed.Bytes()[len(base):]), "guest guest/config guest/kernel"; got != want {
		t.Errorf("the guest is %s, want %s", got, want)
	}
	if err := h.Pack(&packed, Guest{Mode: HVM, Kernel: kernel}); fault.KindOf(err) != fault.Usage {
		t.Errorf("Pack(HVM with a kernel) = %v", err)
	}
	err = writeInitramfs(dir, func(w *cpioWriter) error { return addFiles(w, root, []string{"usr/bin/qemu"}) })
	if fault.KindOf(err) != fault.Input {
		t.Errorf("a file that no package holds: %v", err)
	}
}

// cpioProgram returns the judge of archives.
func cpioProgram(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("cpio")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("cpio is missing: install the package cpio")
	} else if err != nil {
		t.Skip("cpio is missing: install the package cpio")
	}
	return program
}

// list returns the sorted names of an archive, as cpio reads it.
func list(t *testing.T, program string, archive []byte) string {
	t.Helper()
	cmd := exec.Command(program, "-t", "--quiet")
	cmd.Stdin = bytes.NewReader(archive)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	names := strings.Fields(string(out))
	slices.Sort(names)
	return strings.Join(names, " ")
}
