package packaged

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/kernel"
)

// skip skips a test that lacks something, but not in CI.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		skip(t, "Debian package not installed: "+pkg)
	}
}

// debianPackage unpacks Debian's current kernel of a flavour, or skips.
func debianPackage(t *testing.T, flavour string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("fetches a kernel package")
	}
	need(t, "apt-get", "apt")
	need(t, "dpkg-deb", "dpkg")
	out, err := exec.Command("apt-cache", "depends", "--important", flavour).Output()
	if err != nil {
		skip(t, "asking apt for "+flavour+": "+err.Error())
	}
	_, name, _ := strings.Cut(string(out), "Depends: ")
	name, _, _ = strings.Cut(name, "\n")
	dir := t.TempDir()
	get := exec.Command("apt-get", "download", name)
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		skip(t, "fetching "+name+": "+string(out))
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatal("fetched ", debs, err)
	}
	root := filepath.Join(dir, "root")
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], root).CombinedOutput(); err != nil {
		t.Fatalf("unpacking: %v: %s", err, out)
	}
	return root
}

// depmod is the judge: every dependency it finds must be loaded, and before
// the module that needs it.
func TestDebianAgainstDepmod(t *testing.T) {
	need(t, "depmod", "kmod")
	for _, flavour := range []string{"linux-image-cloud-amd64", "linux-image-amd64"} {
		t.Run(flavour, func(t *testing.T) {
			root := debianPackage(t, flavour)
			p := find(t, root)
			c, err := Resolve(context.Background(), p, DefaultModules())
			if err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("depmod", "-b", root, p.Version).CombinedOutput(); err != nil {
				t.Fatalf("depmod: %v: %s", err, out)
			}
			checkAgainstDepmod(t, p, c)
			if flavour == "linux-image-amd64" && len(c.Missing) > 0 {
				t.Errorf("Debian's full kernel lacks %v", c.Missing)
			}
			t.Logf("load %v, built in %v, missing %v", loadOrder(c), c.Builtin, c.Missing)
		})
	}
}

func checkAgainstDepmod(t *testing.T, p Package, c Closure) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.Modules, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	needs := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		module, deps, _ := strings.Cut(line, ":")
		needs[filepath.Join(p.Modules, module)] = strings.Fields(deps)
	}
	loaded := map[string]bool{}
	for _, m := range c.Load {
		deps, ok := needs[m.Path]
		if !ok {
			t.Errorf("depmod does not know %s", m.Path)
		}
		for _, d := range deps {
			if !loaded[filepath.Join(p.Modules, d)] {
				t.Errorf("%s comes before %s, which it needs", m.Name, d)
			}
		}
		loaded[m.Path] = true
	}
}

// QEMU is the judge of the whole way: the ELF out of Debian's vmlinuz is
// entered by PVH, the guest's init loads the modules in the order given, and
// mounts a root whose disk and filesystem are both modules.
func TestDebianBoots(t *testing.T) {
	need(t, "qemu-system-x86_64", "qemu-system-x86")
	need(t, "mksquashfs", "squashfs-tools")
	p := find(t, debianPackage(t, "linux-image-cloud-amd64"))
	dir := t.TempDir()
	elf := extract(t, p, filepath.Join(dir, "vmlinux"))
	c, err := Resolve(t.Context(), p, DefaultModules())
	if err != nil {
		t.Fatal(err)
	}
	initramfs, err := os.Create(filepath.Join(dir, "initramfs"))
	if err != nil {
		t.Fatal(err)
	}
	defer initramfs.Close()
	guest := compile(t, "../init", filepath.Join(dir, "guest"))
	if err := Initramfs(t.Context(), initramfs, Options{Package: p, Modules: c.Load, Init: guest, Compression: kernel.Zstd}); err != nil {
		t.Fatal(err)
	}

	root := filepath.Join(dir, "root")
	for _, d := range []string{"dev", "proc", "sys"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	compile(t, "./testdata/root", filepath.Join(root, "init"))
	disk := filepath.Join(dir, "disk")
	if out, err := exec.Command("mksquashfs", root, disk, "-quiet", "-no-progress").CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v: %s", err, out)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-drive", "if=virtio,format=raw,readonly=on,file="+disk,
		"-kernel", elf, "-initrd", initramfs.Name(),
		"-append", "console=ttyS0 panic=-1 root=/dev/vda rootfstype=squashfs").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("root is up")) {
		t.Fatalf("the guest did not reach its root: %v\n%s", err, out)
	}
}

// extract unpacks the kernel's ELF and checks what the kernel says of itself.
func extract(t *testing.T, p Package, path string) string {
	t.Helper()
	f, err := os.Open(p.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := kernel.Identify(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if im.Version != p.Version || !im.PVH || !im.EFI {
		t.Errorf("Debian's kernel %s reads as %+v", p.Version, im)
	}
	elf, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer elf.Close()
	if err := kernel.ExtractELF(t.Context(), f, info.Size(), elf); err != nil {
		t.Fatal(err)
	}
	return path
}

// compile builds a static program for the guest.
func compile(t *testing.T, pkg, path string) []byte {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", pkg, err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}
