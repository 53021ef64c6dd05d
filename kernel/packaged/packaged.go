// Package packaged takes a kernel from a distribution's package: the unpacked
// tree of a linux-image .deb, or of the .rpm packages that hold a kernel and
// its modules, which [UnpackRPMs] unpacks. Such a kernel keeps its drivers in
// modules, so it needs an initramfs; this package finds the modules and writes
// one.
//
// [Find] finds the kernel in the tree. [Resolve] computes which modules have
// to be loaded for what is wanted, and in which order. [Initramfs] writes the
// archive: the guest's init, the modules, and the list that init goes by.
//
// Nobody has run depmod over an unpacked package, so nothing here depends on
// modules.dep: every module says itself what it needs, in its section
// .modinfo, and only the modules that are wanted are read.
package packaged

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Package is a kernel in an unpacked package.
type Package struct {
	Version string // its release, such as "6.1.0-56-cloud-amd64"
	Kernel  string // path of vmlinuz
	Modules string // path of its folder of modules
	Config  string // path of its configuration; empty when there is none
}

// Find returns the one kernel of a tree: boot/vmlinuz-VERSION, as Debian has
// it, or vmlinuz among its modules, as Red Hat and Oracle do. Modules are in
// lib/modules or usr/lib/modules. No kernel, or more than one, is an error.
func Find(root string) (Package, error) {
	kernels, err := findKernels(root)
	if err != nil {
		return Package{}, err
	}
	versions := slices.Sorted(maps.Keys(kernels))
	switch {
	case len(versions) == 0:
		return Package{}, fault.New(fault.Input, errors.New("the package holds no boot/vmlinuz-* and no lib/modules/*/vmlinuz"),
			"name the package with the kernel itself, such as linux-image-6.1.0-56-cloud-amd64, kernel-core-….rpm or kernel-uek-core-….rpm; linux-image-amd64 and kernel only depend on it")
	case len(versions) > 1:
		return Package{}, fault.New(fault.Input, fmt.Errorf("the tree holds %d kernels, one is needed: %s", len(versions), strings.Join(versions, ", ")))
	}
	p := Package{Version: versions[0], Kernel: kernels[versions[0]]}
	for _, dir := range moduleDirs {
		path := filepath.Join(root, dir, p.Version)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			p.Modules = path
			break
		}
	}
	if p.Modules == "" {
		return Package{}, fault.New(fault.Input, fmt.Errorf("the package holds kernel %s but not its modules", p.Version),
			"some distributions put modules into a package of their own: add it")
	}
	for _, config := range []string{filepath.Join(root, "boot", "config-"+p.Version), filepath.Join(p.Modules, "config")} {
		if exists(config) {
			p.Config = config
			break
		}
	}
	return p, nil
}

// moduleDirs are where distributions put modules.
var moduleDirs = []string{"lib/modules", "usr/lib/modules"}

// findKernels returns the paths of kernels by their versions.
func findKernels(root string) (map[string]string, error) {
	kernels := map[string]string{}
	for _, dir := range moduleDirs {
		paths, err := filepath.Glob(filepath.Join(escape(root), dir, "*", "vmlinuz"))
		if err != nil {
			return nil, fmt.Errorf("looking for a kernel in %s: %w", root, err)
		}
		for _, p := range paths {
			kernels[filepath.Base(filepath.Dir(p))] = p
		}
	}
	paths, err := filepath.Glob(filepath.Join(escape(root), "boot", "vmlinuz-*"))
	if err != nil {
		return nil, fmt.Errorf("looking for a kernel in %s: %w", root, err)
	}
	for _, p := range paths {
		kernels[strings.TrimPrefix(filepath.Base(p), "vmlinuz-")] = p
	}
	return kernels, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// escape makes a path match itself only.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// builtin reads the names of the modules that are part of the kernel.
func (p Package) builtin() (map[string]bool, error) {
	names := map[string]bool{}
	f, err := os.Open(filepath.Join(p.Modules, "modules.builtin"))
	if errors.Is(err, os.ErrNotExist) {
		return names, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the list of built-in modules: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, _, ok := moduleName(lines.Text()); ok {
			names[name] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the list of built-in modules: %w", err)
	}
	return names, nil
}

// moduleName takes a module's name and compression suffix from its path. The
// kernel treats - and _ alike and speaks of _.
func moduleName(path string) (name, suffix string, ok bool) {
	base := filepath.Base(path)
	for _, s := range []string{"", ".gz", ".xz", ".zst"} {
		if stem, found := strings.CutSuffix(base, ".ko"+s); found {
			return canonical(stem), s, true
		}
	}
	return "", "", false
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
