package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
)

// Options say what to build, and where.
type Options struct {
	// Source is the path of a linux-source-X.Y.tar.xz. One folder holds all
	// that is in it.
	Source string
	// Series is the series the source must be of, such as "6.12".
	Series string
	// Fragments are all that is asked for, in the order of [Merge].
	Fragments []Fragment
	// WorkDir is an existing scratch folder with [SpaceNeeded] bytes free. The
	// caller removes it.
	WorkDir string
	// Jobs is how many compilers run at a time; 0 means one for each
	// processor.
	Jobs int
	// CCache lets ccache answer for the compiler when it is installed. The
	// kernel has the same bytes with and without it.
	CCache bool
	Log    hclog.Logger
	// Progress, when set, receives lines of make's output and an estimate of
	// their total.
	Progress func(done, total int64)
}

// Built is a finished kernel: paths inside WorkDir.
type Built struct {
	BzImage string // boots from a disk, by firmware or boot loader
	Vmlinux string // stripped ELF, boots directly by PVH
	Config  string // the complete .config
	Release string // what uname -r will say
	Size    int64  // of BzImage, in bytes
}

// SpaceNeeded is what the source tree and the objects take, in bytes.
const SpaceNeeded = 2 << 30

// Build makes a universal kernel. It fails before anything is compiled when a
// program is lacking, the source is of another series, or kconfig did not take
// a setting. The result is a function of the source, the fragments and what
// [CompilerID] names.
func Build(ctx context.Context, o Options) (*Built, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fault.New(fault.Environment, fmt.Errorf("building an x86-64 kernel on %s", runtime.GOARCH),
			"build the kernel on an x86-64 machine; its artifact can be imported here")
	}
	if err := CheckTools(ctx); err != nil {
		return nil, err
	}
	settings, err := Merge(o.Fragments)
	if err != nil {
		return nil, err
	}
	if err := checkSpace(o.WorkDir); err != nil {
		return nil, err
	}
	m, err := newMaker(o)
	if err != nil {
		return nil, err
	}
	if err := unpack(ctx, o.Source, m.tree); err != nil {
		return nil, err
	}
	if err := checkSeries(m.tree, o.Series); err != nil {
		return nil, err
	}
	if err := configure(ctx, m, settings); err != nil {
		return nil, err
	}
	if err := m.make(ctx, "bzImage", "vmlinux"); err != nil {
		return nil, fault.New(fault.Stage, fmt.Errorf("compiling the kernel: %w", err))
	}
	return collect(ctx, m, o.WorkDir)
}

// configure writes .config and compares it with what was asked for.
func configure(ctx context.Context, m *maker, settings []Setting) error {
	all := filepath.Join(m.tree, "..", "all.config")
	if err := os.WriteFile(all, AllConfig(settings), 0o644); err != nil {
		return fmt.Errorf("writing the kernel configuration: %w", err)
	}
	if err := m.make(ctx, "KCONFIG_ALLCONFIG=../all.config", "allnoconfig"); err != nil {
		return fault.New(fault.Stage, fmt.Errorf("configuring the kernel: %w", err))
	}
	f, err := os.Open(filepath.Join(m.tree, ".config"))
	if err != nil {
		return fmt.Errorf("opening the kernel configuration: %w", err)
	}
	defer f.Close()
	config, err := ParseConfig(f)
	if err != nil {
		return err
	}
	misses := Check(settings, config)
	if len(misses) == 0 {
		return nil
	}
	symbols, err := readSymbols(m.tree)
	if err != nil {
		return err
	}
	errs := make([]error, len(misses))
	hints := make([]string, len(misses))
	for i, miss := range misses {
		errs[i], hints[i] = errors.New(miss.String()), symbols.hint(miss)
	}
	return fault.New(fault.Stage, fmt.Errorf("configuring the kernel: %d settings were not taken:\n%w",
		len(misses), errors.Join(errs...)), hints...)
}

// collect copies the results out of the source tree.
func collect(ctx context.Context, m *maker, dir string) (*Built, error) {
	b := &Built{
		BzImage: filepath.Join(dir, "bzImage"),
		Vmlinux: filepath.Join(dir, "vmlinux"),
		Config:  filepath.Join(dir, "config"),
	}
	for from, to := range map[string]string{"arch/x86/boot/bzImage": b.BzImage, ".config": b.Config} {
		if err := os.Rename(filepath.Join(m.tree, from), to); err != nil {
			return nil, fmt.Errorf("collecting the kernel: %w", err)
		}
	}
	strip := exec.CommandContext(ctx, "strip", "-o", b.Vmlinux, filepath.Join(m.tree, "vmlinux"))
	strip.Env = m.env
	if out, err := strip.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("stripping vmlinux: %w: %s", err, out)
	}
	release, err := os.ReadFile(filepath.Join(m.tree, "include/config/kernel.release"))
	if err != nil {
		return nil, fmt.Errorf("reading the kernel release: %w", err)
	}
	b.Release = string(trimNewline(release))
	info, err := os.Stat(b.BzImage)
	if err != nil {
		return nil, fmt.Errorf("collecting the kernel: %w", err)
	}
	b.Size = info.Size()
	return b, nil
}

// unpack puts the content of the source's one folder into tree.
func unpack(ctx context.Context, source, tree string) error {
	if err := os.Mkdir(tree, 0o755); err != nil {
		return fmt.Errorf("unpacking the kernel source: %w", err)
	}
	cmd := exec.CommandContext(ctx, "tar", "--extract", "--file", source, "--directory", tree,
		"--strip-components=1", "--no-same-owner")
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.New(fault.Input, fmt.Errorf("unpacking kernel source %s: %w: %s", source, err, trimNewline(out)))
	}
	return nil
}

var makefileVersion = regexp.MustCompile(`(?m)^VERSION = ([0-9]+)\nPATCHLEVEL = ([0-9]+)$`)

// checkSeries compares the tree's version with the series wanted.
func checkSeries(tree, series string) error {
	makefile, err := os.ReadFile(filepath.Join(tree, "Makefile"))
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("reading the kernel source: %w", err),
			"the source must be a tar archive with one folder, like that of a linux-source package")
	}
	m := makefileVersion.FindSubmatch(makefile)
	if m == nil {
		return fault.New(fault.Input, errors.New("reading the kernel source: its Makefile names no version"))
	}
	if got := fmt.Sprintf("%s.%s", m[1], m[2]); got != series {
		return fault.New(fault.Input, fmt.Errorf("the kernel source is Linux %s, not %s", got, series))
	}
	return nil
}

// checkSpace tells that a build will not fit before it fills the disk.
func checkSpace(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < SpaceNeeded {
		return fault.New(fault.Environment,
			fmt.Errorf("building a kernel in %s: %d MiB free, %d MiB needed", dir, free>>20, SpaceNeeded>>20))
	}
	return nil
}
