package convert

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// kind is a format that holds a disk.
type kind struct {
	format string
	// suffixes are those of its main file; the first is what the format's own
	// writer gives it.
	suffixes []string
	// machine tells a format that describes a machine, too.
	machine bool
}

func kinds() []kind {
	return []kind{
		{"raw", []string{".raw", ".img"}, false},
		{"qcow2", []string{".qcow2"}, false},
		{"vmdk", []string{".vmdk"}, false},
		{"vhd", []string{".vhd", ".vpc"}, false},
		{"vhdx", []string{".vhdx"}, false},
		{"ova", []string{".ova"}, true},
		{"ovf", []string{".ovf"}, true},
	}
}

// Formats returns the names of the formats that Run converts into.
func Formats() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.format)
	}
	return names
}

// target is where the new files go.
type target struct {
	format  string
	machine bool
	dir     string
	name    string // of the main file
	stem    string // what all names begin with
	suffix  string // what the format's writer gives the main file
}

// chooseTarget finds the format by its name, or by the suffix of the path.
func chooseTarget(out, format string) (target, error) {
	t := target{dir: filepath.Dir(out), name: filepath.Base(out)}
	ext := strings.ToLower(filepath.Ext(t.name))
	i := slices.IndexFunc(kinds(), func(k kind) bool {
		return k.format == format || format == "" && slices.Contains(k.suffixes, ext)
	})
	if i < 0 {
		err := fmt.Errorf("there is no format %q to convert into", format)
		if format == "" {
			err = fmt.Errorf("the name %s does not tell a format", t.name)
		}
		return t, fault.New(fault.Usage, err, "name one with --format: "+strings.Join(Formats(), ", "))
	}
	k := kinds()[i]
	t.format, t.machine, t.suffix = k.format, k.machine, k.suffixes[0]
	t.stem = t.name
	if slices.Contains(k.suffixes, ext) {
		t.stem = t.name[:len(t.name)-len(ext)]
	}
	if t.stem == "" || strings.HasPrefix(t.name, ".imgbuild-") {
		return t, fault.New(fault.Usage, fmt.Errorf("%q is no name for an output file", t.name), "name another file")
	}
	return t, nil
}
