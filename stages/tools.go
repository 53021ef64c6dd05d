package stages

import (
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
)

// tools are the outside programs that stages run, by name.
var tools = map[string]builder.Tool{
	"mkfs.erofs": {Name: "mkfs.erofs", Package: "erofs-utils", VersionArgs: []string{"--version"}},
	"mksquashfs": {Name: "mksquashfs", Package: "squashfs-tools", VersionArgs: []string{"-version"}},
	"mke2fs":     {Name: "mke2fs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"debugfs":    {Name: "debugfs", Package: "e2fsprogs", VersionArgs: []string{"-V"}},
	"mkfs.fat":   {Name: "mkfs.fat", Package: "dosfstools", VersionArgs: []string{"--help"}, VersionRegexp: `mkfs.fat [0-9.]+`},
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
		s.fail(err)
		found[name] = version
	}
	return found
}
