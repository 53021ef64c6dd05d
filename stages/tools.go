package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

// tools are the outside programs that stages run, by name.
var tools = map[string]builder.Tool{
	"mkfs.erofs": {Name: "mkfs.erofs", Package: "erofs-utils", VersionArgs: erofsVersion, VersionRegexp: `(?m)^mkfs\.erofs .*\d.*$`},
	"mksquashfs": {Name: "mksquashfs", Package: "squashfs-tools", VersionArgs: []string{"-version"}},
	"mke2fs":     {Name: "mke2fs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"debugfs":    {Name: "debugfs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"mkfs.fat":   {Name: "mkfs.fat", Package: "dosfstools", VersionArgs: []string{"--help"}, VersionRegexp: `mkfs.fat [0-9.]+`},
	"mmd":        {Name: "mmd", Package: "mtools", VersionArgs: []string{"--version"}},
	"mcopy":      {Name: "mcopy", Package: "mtools", VersionArgs: []string{"--version"}},
	"syslinux":   {Name: "syslinux", Package: "syslinux", VersionArgs: []string{"--version"}},
	"strip":      {Name: "strip", Package: "binutils", VersionArgs: []string{"--version"}},
	"xz":         {Name: "xz", Package: "xz-utils", VersionArgs: []string{"--version"}},
	"xorriso":    {Name: "xorriso", Package: "xorriso", VersionArgs: []string{"--version"}},
	"fakeroot":   {Name: "fakeroot", Package: "fakeroot", VersionArgs: []string{"--version"}},
}

// erofsVersion makes mkfs.erofs fail: that of Debian 12 has no option that
// tells its version, but begins each run with it.
var erofsVersion = []string{"/nonexistent/image", "/nonexistent/tree"}

// versions finds programs and returns their versions.
func (s *set) versions(names ...string) map[string]string {
	found := map[string]string{}
	for _, name := range names {
		tool, ok := tools[name]
		if !ok {
			s.fail(fmt.Errorf("stages: no outside program %q is declared", name))
			continue
		}
		_, version, err := s.toolbox.Find(s.ctx, tool)
		if err != nil {
			s.lacking[name] = lack{err, tool.Package}
		}
		found[name] = version
	}
	return found
}

// lack is a program that was not found, and the package that has it.
type lack struct {
	err error
	pkg string
}

// checkTools makes one error of all programs that were not found.
func (s *set) checkTools() error {
	if len(s.lacking) == 0 || s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	var errs []error
	var packages []string
	for _, name := range slices.Sorted(maps.Keys(s.lacking)) {
		errs = append(errs, s.lacking[name].err)
		packages = append(packages, s.lacking[name].pkg)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return fault.New(fault.Environment, fmt.Errorf("looking for the programs of the build:\n%s", errors.Join(errs...)), install(packages...))
}

// install is the command that brings packages.
func install(packages ...string) string {
	slices.Sort(packages)
	return "apt-get install " + strings.Join(slices.Compact(packages), " ")
}

// runTool runs an outside program with nothing but the given environment and
// PATH. What it printed becomes part of the error.
func runTool(ctx context.Context, w *builder.Work, env []string, name string, args ...string) error {
	_, err := toolComplaints(ctx, w, env, name, args...)
	return err
}

// toolComplaints is [runTool] for programs that end with status 0 whatever
// happens: it returns what was written to stderr.
func toolComplaints(ctx context.Context, w *builder.Work, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, programPath(name), args...)
	cmd.Dir = w.Dir
	cmd.Env = append([]string{"PATH=" + toolPath(), "LC_ALL=C", "HOME=" + w.Dir, "TMPDIR=" + w.Dir}, env...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	w.Log.Debug("running", "program", name, "args", args)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		said := out.String() + complaints.String()
		if strings.Contains(said, "No space left on device") {
			return "", fault.New(fault.Environment, fmt.Errorf("running %s: no space left on device", name),
				"free some space, or name another folder with --cache-dir")
		}
		if errors.Is(err, exec.ErrNotFound) {
			return "", fault.New(fault.Environment, fmt.Errorf("%s is not installed", name), install(tools[name].Package))
		}
		return "", fmt.Errorf("running %s: %w\n%s", name, err, lastLines(said, 12))
	}
	return complaints.String(), nil
}

// programPath is where on toolPath a program is; its bare name when nowhere.
func programPath(name string) string {
	for _, dir := range filepath.SplitList(toolPath()) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

// toolPath is where outside programs are looked for; the sbin folders hold
// the file system makers and are not on every user's PATH.
func toolPath() string {
	return os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin"
}
