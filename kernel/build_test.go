package kernel

import (
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

// source returns Debian's kernel source package of a series, or skips.
func source(t *testing.T, series string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("unpacks a kernel source")
	}
	path := "/usr/src/linux-source-" + series + ".tar.xz"
	if _, err := os.Stat(path); err != nil {
		missing(t, "linux-source-"+series)
	}
	if err := CheckTools(context.Background()); err != nil {
		missing(t, strings.Join(fault.HintsOf(err), " "))
	}
	return path
}

// unpackKconfig unpacks what the configuration of a source needs: a fiftieth of
// its 80,000 files, most of which take longer to be made than to be unpacked.
func unpackKconfig(t *testing.T, source, tree string) {
	t.Helper()
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "tar", "--extract", "--file", source, "--directory", tree,
		"--strip-components=1", "--no-same-owner", "--wildcards",
		"*/Kconfig*", "linux-*/Makefile", "*/Makefile*", "*/Kbuild*", "linux-*/scripts/*").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// kconfig must take all that the built-in fragments of a series ask for, and
// what it does not take must end the build before anything is compiled.
func TestConfigure(t *testing.T) {
	for _, series := range Series() {
		t.Run(series, func(t *testing.T) {
			m, err := newMaker(Options{WorkDir: t.TempDir(), CCache: true})
			if err != nil {
				t.Fatal(err)
			}
			unpackKconfig(t, source(t, series), m.tree)
			if err := checkSeries(m.tree, series); err != nil {
				t.Fatal(err)
			}
			checkSource(t, series, m.tree)
			if err := checkSeries(m.tree, "5.10"); fault.KindOf(err) != fault.Input {
				t.Errorf("another series gave %v", err)
			}
			fragments, err := Fragments(series)
			if err != nil {
				t.Fatal(err)
			}
			settings, err := Merge(fragments)
			if err != nil {
				t.Fatal(err)
			}
			if err := configure(t.Context(), m, settings); err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(fault.HintsOf(err), "\n"))
			}

			bad := parse(t, "user.config", "CONFIG_VIRTIO_BLOCK=y\nCONFIG_SCSI_VIRTIO=y\n")
			err = configure(t.Context(), m, bad.Settings)
			if fault.KindOf(err) != fault.Stage {
				t.Fatalf("settings that were not taken gave %v", err)
			}
			for _, want := range []string{"user.config:1: CONFIG_VIRTIO_BLOCK=y became n", "user.config:2: CONFIG_SCSI_VIRTIO=y became n"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not tell %q", err, want)
				}
			}
			hints := strings.Join(fault.HintsOf(err), "\n")
			for _, want := range []string{"did you mean CONFIG_VIRTIO_BLK", "CONFIG_SCSI_VIRTIO depends on SCSI_LOWLEVEL && SCSI, and on VIRTIO"} {
				if !strings.Contains(hints, want) {
					t.Errorf("hints %q lack %q", hints, want)
				}
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "linux-source.tar.xz")
	if err := os.WriteFile(bad, []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, filepath.Join(dir, "absent.tar.xz")} {
		if err := unpack(t.Context(), path, filepath.Join(dir, filepath.Base(path)+".tree")); fault.KindOf(err) != fault.Input {
			t.Errorf("%s gave %v", path, err)
		}
	}
	if err := checkSeries(dir, "6.12"); fault.KindOf(err) != fault.Input {
		t.Errorf("a folder without a Makefile gave %v", err)
	}
}

// What the caller's environment says to compilers must not reach the build.
func TestBuildEnv(t *testing.T) {
	t.Setenv("MAKEFLAGS", "-n")
	t.Setenv("KCFLAGS", "-O0")
	t.Setenv("CCACHE_DIR", "/cache")
	t.Setenv("KBUILD_BUILD_HOST", "laptop")
	env := strings.Join(buildEnv(), "\n")
	for _, part := range []string{"MAKEFLAGS", "KCFLAGS", "laptop"} {
		if strings.Contains(env, part) {
			t.Errorf("the environment holds %s", part)
		}
	}
	for _, part := range []string{"CCACHE_DIR=/cache", "PATH=", "KBUILD_BUILD_HOST=imgbuild"} {
		if !strings.Contains(env, part) {
			t.Errorf("the environment lacks %s", part)
		}
	}
}

func TestCheckTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := CheckTools(t.Context())
	if fault.KindOf(err) != fault.Environment {
		t.Fatalf("an empty PATH gave %v", err)
	}
	hints := fault.HintsOf(err)
	if len(hints) != 1 || !strings.HasPrefix(hints[0], "apt-get install bc binutils bison ") {
		t.Errorf("hints %q", hints)
	}
}

func TestProgress(t *testing.T) {
	var done, total int64
	m := &maker{progress: func(d, n int64) { done, total = d, n }}
	for _, line := range []string{"make[1]: Entering", "  CC      init/main.o", "warning", "  LD      vmlinux"} {
		m.step(line)
	}
	if done != 2 || total != usualSteps {
		t.Errorf("got %d of %d", done, total)
	}
	m.done = usualSteps
	m.step("  CC      one/more.o")
	if done != total {
		t.Errorf("got %d of %d: more than expected must raise the total", done, total)
	}
}

// A cancelled build ends its whole process group and counts as interrupted.
func TestMakeStops(t *testing.T) {
	if err := CheckTools(t.Context()); err != nil {
		missing(t, strings.Join(fault.HintsOf(err), " "))
	}
	m, err := newMaker(Options{WorkDir: t.TempDir(), Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.tree, 0o755); err != nil {
		t.Fatal(err)
	}
	makefile := "all:\n\t@echo '  CC      started'\n\t@sleep 1000\nbad:\n\t@echo why >&2; exit 3\n"
	if err := os.WriteFile(filepath.Join(m.tree, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.progress = func(int64, int64) { cancel() }
	if err := m.make(ctx, "all"); fault.KindOf(err) != fault.Interrupted {
		t.Errorf("a cancelled make gave %v", err)
	}
	if err := m.make(t.Context(), "bad"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a failed make gave %v, without what it printed", err)
	}
}

// The results are taken out of the tree, and vmlinux loses its symbols.
func TestCollect(t *testing.T) {
	if err := CheckTools(t.Context()); err != nil {
		missing(t, strings.Join(fault.HintsOf(err), " "))
	}
	dir := t.TempDir()
	m, err := newMaker(Options{WorkDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"arch/x86/boot/bzImage":         "an image",
		".config":                       "CONFIG_64BIT=y\n",
		"include/config/kernel.release": "6.12.1\n",
		"vmlinux":                       string(program),
	} {
		path := filepath.Join(m.tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := collect(t.Context(), m, dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.Release != "6.12.1" || b.Size != int64(len("an image")) {
		t.Errorf("collected %+v", b)
	}
	f, err := elf.Open(b.Vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Section(".symtab") != nil {
		t.Error("vmlinux was not stripped")
	}
	for _, path := range []string{b.BzImage, b.Config} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
