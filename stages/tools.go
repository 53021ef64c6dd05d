package stages

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

// tools are the outside programs that stages run, by name.
var tools = map[string]builder.Tool{
	"mkfs.erofs": {Name: "mkfs.erofs", Package: "erofs-utils", VersionArgs: []string{"--version"}},
	"mksquashfs": {Name: "mksquashfs", Package: "squashfs-tools", VersionArgs: []string{"-version"}},
	"mke2fs":     {Name: "mke2fs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"debugfs":    {Name: "debugfs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"mkfs.fat":   {Name: "mkfs.fat", Package: "dosfstools", VersionArgs: []string{"--help"}, VersionRegexp: `mkfs.fat [0-9.]+`},
	"mmd":        {Name: "mmd", Package: "mtools", VersionArgs: []string{"--version"}},
	"mcopy":      {Name: "mcopy", Package: "mtools", VersionArgs: []string{"--version"}},
	"syslinux":   {Name: "syslinux", Package: "syslinux", VersionArgs: []string{"--version"}},
	"strip":      {Name: "strip", Package: "binutils", VersionArgs: []string{"--version"}},
	"fakeroot":   {Name: "fakeroot", Package: "fakeroot", VersionArgs: []string{"--version"}},
}

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
			s.lacking[name] = err
		}
		found[name] = version
	}
	return found
}

// checkTools makes one error of all programs that were not found.
func (s *set) checkTools() error {
	if len(s.lacking) == 0 || s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	names := slices.Sorted(maps.Keys(s.lacking))
	if len(names) == 1 {
		return s.lacking[names[0]]
	}
	errs := make([]error, len(names))
	for i, name := range names {
		errs[i] = s.lacking[name]
	}
	return fault.New(fault.Environment, fmt.Errorf("looking for the programs of the build:\n%s", errors.Join(errs...)), install(names...))
}

// install is the command that brings programs.
func install(names ...string) string {
	var packages []string
	for _, name := range names {
		packages = append(packages, tools[name].Package)
	}
	slices.Sort(packages)
	return "apt-get install " + strings.Join(slices.Compact(packages), " ")
}
