package outputtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
)

// xlPackages are xl and the libraries that only it needs. They are unpacked,
// not installed: their daemons have no place on a machine without Xen.
var xlPackages = []string{
	"xen-utils-4.17", "libxenmisc4.17", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
	"libxengnttab1", "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libyajl2",
}

// noXen stands in for Xen: xl asks for it before it looks at a file.
const noXen = `#include <stdlib.h>
static char none[4096];
static const char *version[64] = {[0 ... 63] = ""};
void *xencall_open(void *l, unsigned f) { return none; }
int xencall_close(void *h) { return 0; }
void *xencall_alloc_buffer(void *h, size_t n) { return calloc(1, n); }
void *xencall_alloc_buffer_pages(void *h, size_t n) { return calloc(n, 4096); }
void xencall_free_buffer(void *h, void *p) { free(p); }
void xencall_free_buffer_pages(void *h, void *p, size_t n) { free(p); }
int xencall0() { return 0; }
int xencall1() { return 0; }
int xencall2() { return 0; }
long xencall2L() { return 0; }
int xencall3() { return 0; }
int xencall4() { return 0; }
int xencall5() { return 0; }
void *xenforeignmemory_open(void *l, unsigned f) { return none; }
int xenforeignmemory_close(void *h) { return 0; }
void *xendevicemodel_open(void *l, unsigned f) { return none; }
int xendevicemodel_close(void *h) { return 0; }
void *xs_open(unsigned long f) { return none; }
void xs_close(void *h) {}
int xs_fileno(void *h) { return -1; }
const void *libxl_get_version_info(void *ctx) { return version; }
`

// XL is xl without a Xen below it, which judges configurations.
type XL struct{ root string }

// NewXL unpacks xl into a folder of the test. Where its packages cannot be
// had the test is skipped, or fails when the environment variable CI is "true".
func NewXL(t *testing.T) XL {
	t.Helper()
	apt, dpkg, gcc := disktest.Program(t, "apt-get", "apt"), disktest.Program(t, "dpkg", "dpkg"), disktest.Program(t, "gcc", "gcc")
	x := XL{root: t.TempDir()}
	// apt hands the download to a user of its own.
	if err := os.Chmod(x.root, 0o755); err != nil {
		t.Fatal(err)
	}
	get := exec.Command(apt, append([]string{"-q", "-o", "APT::Sandbox::User=root", "download"}, xlPackages...)...)
	get.Dir = x.root
	if out, err := get.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("getting xl: %v\n%s", err, out)
		}
		t.Skipf("the package xen-utils-4.17 cannot be had: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(x.root, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, deb := range debs {
		disktest.Run(t, dpkg, "-x", deb, x.root)
	}
	source := filepath.Join(x.root, "noxen.c")
	if err := os.WriteFile(source, []byte(noXen), 0o600); err != nil {
		t.Fatal(err)
	}
	disktest.Run(t, gcc, "-shared", "-fPIC", "-o", filepath.Join(x.root, "noxen.so"), source)
	return x
}

// Guest is what xl understood of a configuration.
type Guest struct {
	Info struct {
		Type string `json:"type"`
		Name string `json:"name"`
	} `json:"c_info"`
	Build struct {
		VCPUs      int    `json:"max_vcpus"`
		MemoryKiB  int64  `json:"max_memkb"`
		Kernel     string `json:"kernel"`
		Ramdisk    string `json:"ramdisk"`
		Cmdline    string `json:"cmdline"`
		Bootloader string `json:"bootloader"`
		HVM        struct {
			BIOS   string `json:"bios"`
			HDType string `json:"hdtype"`
			Boot   string `json:"boot"`
			Serial string `json:"serial"`
		} `json:"type.hvm"`
	} `json:"b_info"`
	Disks []struct {
		Path      string `json:"pdev_path"`
		Device    string `json:"vdev"`
		Format    string `json:"format"`
		ReadWrite int    `json:"readwrite"`
	} `json:"disks"`
	NICs []struct {
		Bridge string `json:"bridge"`
		Type   string `json:"nictype"`
	} `json:"nics"`
	OnReboot string `json:"on_reboot"`
}

// Parse lets xl read a configuration as `xl create --dryrun` does.
func (x XL) Parse(t *testing.T, path string) Guest {
	t.Helper()
	cmd := exec.Command(filepath.Join(x.root, "usr/lib/xen-4.17/bin/xl"), "create", "--dryrun", path)
	cmd.Env = []string{
		"LD_LIBRARY_PATH=" + filepath.Join(x.root, "usr/lib/x86_64-linux-gnu"),
		"LD_PRELOAD=" + filepath.Join(x.root, "noxen.so"),
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("xl refuses %s: %v\n%s%s", path, err, out.Bytes(), problems.Bytes())
	}
	var g Guest
	if err := json.Unmarshal(out.Bytes(), &g); err != nil {
		t.Fatalf("what xl says of %s: %v\n%s", path, err, out.Bytes())
	}
	return g
}
