package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Refuse is the error of a source in which there is nothing to look at. It does
// not tell the path.
func (s *Source) Refuse() error {
	if len(s.Disks) > 0 || s.Layout != nil || s.Package != nil {
		return nil
	}
	return fault.New(fault.Input, errors.New("it is an archive, but neither an OVA nor a container image, and there is no disk image in it"),
		"disk images in archives are known by their names: "+strings.Join(endings, ", "))
}

// One returns the disk of that ID or file name, or the only one when name is
// empty. Blank disks do not count. Errors are of kind [fault.Usage] when
// another name would do, and do not tell the path.
func (s *Source) One(name string) (Disk, error) {
	if err := s.Refuse(); err != nil {
		return Disk{}, err
	}
	var found []Disk
	var names []string
	for _, d := range s.Disks {
		if d.Blank {
			continue
		}
		names = append(names, d.Name)
		if name == "" || name == d.ID || name == d.Name {
			found = append(found, d)
		}
	}
	switch {
	case len(s.Disks) == 1 && s.Disks[0].Name == "" && name != "":
		return Disk{}, fault.New(fault.Usage, errors.New("it is a disk, not a package of some"), "leave --disk out")
	case len(names) == 0 && s.Layout != nil:
		return Disk{}, fault.New(fault.Input, errors.New("it is a container image, and none of its layers is the disk of a machine"),
			"a tree of files becomes a disk by a recipe: `imgbuild init`")
	case len(names) == 0:
		return Disk{}, fault.New(fault.Input, errors.New("it holds no disk"), "`imgbuild inspect` tells what it holds")
	case len(found) == 1:
		return found[0], nil
	case name != "":
		return Disk{}, fault.New(fault.Usage, fmt.Errorf("it holds no disk %q", name), "name one with --disk: "+strings.Join(names, ", "))
	}
	return Disk{}, fault.New(fault.Usage, fmt.Errorf("it holds %d disks", len(names)), "name one with --disk: "+strings.Join(names, ", "))
}
