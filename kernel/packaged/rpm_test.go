package packaged

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
)

// redHat lays Debian's kernel out as Red Hat and Oracle do: vmlinuz, config and
// what else belongs to a kernel among the modules, which are compressed by xz or,
// as by newer distributions, by zstd; and packages for the kernel, for its
// filesystems and for its drivers. The copies for /boot and depmod's lists are
// made when a package is installed: it names them and does not hold them.
const redHat = `set -eu
modules=$(echo "$1"/usr/lib/modules/* "$1"/lib/modules/* | tr ' ' '\n' | grep -v '\*' | head -1)
version=$(basename "$modules")
core=lib/modules/$version
mkdir -p "$2/core/$core" "$2/core/boot" "$2/modules/$core/kernel" "$2/drivers/$core/kernel"
cp "$1/boot/vmlinuz-$version" "$2/core/$core/vmlinuz"
cp "$1/boot/config-$version" "$2/core/$core/config"
cp "$modules/modules.builtin" "$2/core/$core/"
for f in fs lib crypto net arch; do cp -r "$modules/kernel/$f" "$2/modules/$core/kernel/"; done
cp -r "$modules/kernel/drivers" "$2/drivers/$core/kernel/"
# What no appliance loads would only take time.
cd "$2/modules/$core/kernel" && rm -rf net/netfilter net/sunrpc net/sched net/bridge net/ipv4 fs/nfs* fs/smb fs/btrfs fs/xfs fs/ceph fs/nls
cd "$2/drivers/$core/kernel/drivers" && rm -rf infiniband md comedi target hid usb iio media staging
cp "$1/boot/System.map-$version" "$2/core/$core/System.map"
printf '0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n' | gzip -n >"$2/core/$core/symvers.gz"
sha512sum "$1/boot/vmlinuz-$version" >"$2/core/$core/.vmlinuz.hmac"
mkdir "$2/core/$core/weak-updates"
ln -s /usr/src/kernels/$version "$2/core/$core/build"
ln -s build "$2/core/$core/source"
for ghost in boot/vmlinuz-$version $core/modules.dep; do : >"$2/core/$ghost"; echo "%ghost /$ghost"; done
find "$2/modules" -name '*.ko' -print0 | xargs -0 xz -0 --check=crc32 --lzma2=dict=1MiB
find "$2/drivers" -name '*.ko' -print0 | xargs -0 zstd -q --rm
`

// spec is of a package that takes a folder as it is, but for files that it only
// names. It asks for others as the kernels of distributions do, and its scripts
// must not run.
const spec = `Name: %s
Version: 6
Release: 1
Summary: a kernel
License: none
BuildArch: x86_64
%%define _binary_payload w3.zstdio
%%define __os_install_post %%{nil}
%%define _build_id_links none
AutoReqProv: no
Requires(pre): linux-firmware >= 20230516
Requires: (dracut >= 049 if systemd)
Recommends: linux-firmware-whence
%%description
A kernel.
%%posttrans
exit 1
%%files
%%defattr(-,root,root)
/*
%s
`

// debianTree is the unpacked package that make test has at hand, or one that is
// fetched now.
func debianTree(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("IMGBUILD_TEST_DEBIAN"); dir != "" && !testing.Short() {
		return dir
	}
	return debianPackage(t, "linux-image-cloud-amd64")
}

// rpms makes the packages, or skips.
func rpms(t *testing.T, debian string) []string {
	t.Helper()
	need(t, "rpmbuild", "rpm")
	need(t, "xz", "xz-utils")
	need(t, "zstd", "zstd")
	top := t.TempDir()
	ghosts, err := exec.Command("sh", "-c", redHat, "sh", debian, filepath.Join(top, "root")).Output()
	if err != nil {
		t.Fatalf("laying the kernel out: %v: %s", err, ghosts)
	}
	var paths []string
	for _, part := range []string{"core", "modules", "drivers"} {
		name := "kernel-" + part
		file := filepath.Join(top, part+".spec")
		if err := os.WriteFile(file, fmt.Appendf(nil, spec, name, ghosts), 0o644); err != nil {
			t.Fatal(err)
		}
		ghosts = nil // they are of the first one
		cmd := exec.Command("rpmbuild", "-bb", "--quiet", "--noclean", "--target", "x86_64",
			"--buildroot", filepath.Join(top, "root", part), "--define", "_topdir "+top, "--define", "_tmppath "+top, file)
		cmd.Env = append(os.Environ(), "HOME="+top)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("rpmbuild: %v\n%s", err, out)
		}
		paths = append(paths, filepath.Join(top, "RPMS/x86_64", name+"-6-1.x86_64.rpm"))
	}
	return paths
}

// The packages of one kernel give the closure that Debian's own package gives,
// and nothing is unpacked but what rpm lists and is read here.
func TestRPMs(t *testing.T) {
	debian := debianTree(t)
	packages := rpms(t, debian)
	dir := t.TempDir()
	names, err := UnpackRPMs(t.Context(), packages, dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"kernel-core-6-1.x86_64", "kernel-modules-6-1.x86_64", "kernel-drivers-6-1.x86_64"}, names); d != "" {
		t.Error(d)
	}
	p, theirs := find(t, dir), find(t, debian)
	if p.Version != theirs.Version || p.Kernel != filepath.Join(p.Modules, "vmlinuz") || p.Config != filepath.Join(p.Modules, "config") {
		t.Errorf("found %+v", p)
	}
	c, err := Resolve(t.Context(), p, DefaultModules())
	if err != nil {
		t.Fatal(err)
	}
	want, err := Resolve(t.Context(), theirs, DefaultModules())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(loadOrder(want), loadOrder(c)); d != "" {
		t.Error(d)
	}
	if z, err := p.Compression(); err != nil || z != kernel.Zstd {
		t.Errorf("its initramfs would be compressed by %q, %v", z, err)
	}
	checkListed(t, packages, dir)

	// One package alone says what is lacking.
	if _, err := UnpackRPMs(t.Context(), packages[1:2], filepath.Join(dir, "boot")); err == nil {
		t.Error("packages may be unpacked into no folder")
	}
	alone := t.TempDir()
	if _, err := UnpackRPMs(t.Context(), packages[1:], alone); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(alone); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "vmlinuz") {
		t.Errorf("without kernel-core: %v", err)
	}
	if _, err := UnpackRPMs(t.Context(), append(packages, packages[0]), t.TempDir()); fault.KindOf(err) != fault.Input {
		t.Errorf("one package twice: %v", err)
	}
}

// checkListed compares the unpacked files with rpm's own list, but for those
// that a package only names, ghosts.
func checkListed(t *testing.T, packages []string, dir string) {
	t.Helper()
	const query = `[%{FILEFLAGS:fflags} %{FILENAMES}\n]`
	out, err := exec.Command("rpm", append([]string{"-qp", "--nosignature", "--qf", query}, packages...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		flags, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !strings.Contains(flags, "g") && wanted(name[1:]) {
			listed[name] = true
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if !listed[name] {
			t.Errorf("%s was unpacked, and rpm does not list it", name)
		}
		delete(listed, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range listed {
		t.Errorf("%s was not unpacked", name)
	}
}

func TestCompression(t *testing.T) {
	for text, want := range map[string]kernel.Compression{
		"CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\n":                  kernel.Zstd,
		"CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n":       kernel.Gzip,
		"# CONFIG_RD_GZIP is not set\nCONFIG_RD_LZO=y\n":        kernel.Uncompressed,
		"CONFIG_LOCALVERSION=\"-odd \\\" y\"\nCONFIG_RD_GZIP=y": kernel.Gzip,
	} {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := (Package{Config: path}).Compression(); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := (Package{}).Compression(); err != nil || got != kernel.Gzip {
		t.Errorf("without a configuration: %q, %v", got, err)
	}
}
