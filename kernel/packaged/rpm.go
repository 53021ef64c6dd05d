package packaged

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/rpm"
)

// UnpackRPMs unpacks into dir what [Find] and [Resolve] read of RPM packages:
// kernels, their configurations and their modules. One package rarely holds
// them all: Red Hat's are kernel-core, kernel-modules-core and kernel-modules,
// Oracle's the same with kernel-uek in front. It returns the packages' names.
// A file that is no such package, or one for another processor, is a
// fault.Input.
func UnpackRPMs(ctx context.Context, packages []string, dir string) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("unpacking kernel packages: %w", err)
	}
	defer root.Close()
	var names []string
	for _, p := range packages {
		info, err := unpackRPM(ctx, p, root)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil && info.Arch != "x86_64" && info.Arch != "noarch" {
			err = fmt.Errorf("%s is for %s", info, info.Arch)
		}
		if err != nil {
			return nil, fault.New(fault.Input, fmt.Errorf("%s: %w", p, err),
				"give the .rpm files of one kernel for x86_64, such as kernel-core, kernel-modules-core and kernel-modules")
		}
		names = append(names, info.String())
	}
	return names, nil
}

func unpackRPM(ctx context.Context, file string, root *os.Root) (rpm.Info, error) {
	f, err := os.Open(file)
	if err != nil {
		return rpm.Info{}, err
	}
	defer f.Close()
	return rpm.Extract(ctx, f, root, wanted)
}

// wanted tells whether a file of a package is one that is read here.
func wanted(name string) bool {
	if dir, base := path.Split(name); dir == "boot/" {
		return strings.HasPrefix(base, "vmlinuz-") || strings.HasPrefix(base, "config-")
	}
	for _, dir := range moduleDirs {
		rest, ok := strings.CutPrefix(name, dir+"/")
		if !ok {
			continue
		}
		if _, _, module := moduleName(name); module {
			return true
		}
		_, file, _ := strings.Cut(rest, "/")
		return file == "vmlinuz" || file == "config" || file == "modules.builtin"
	}
	return false
}
