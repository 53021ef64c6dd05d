package convert

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk/packed"
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
		{"ovm", []string{".tgz"}, true},
		{"xva", []string{".xva"}, true},
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
	// compress is how the file is compressed; empty for not at all.
	compress packed.Kind
}

// options adds to the options of the format what the name tells.
func (t target) options(given map[string]any) map[string]any {
	options := maps.Clone(given)
	if t.compress != "" {
		if options == nil {
			options = map[string]any{}
		}
		options["compress"] = t.compress
	}
	return options
}

// cutCompression takes the suffix of a compression off the name, and returns
// what is left.
func (t *target) cutCompression() string {
	ext := filepath.Ext(t.name)
	kind := packed.Kind(strings.TrimPrefix(strings.ToLower(ext), "."))
	if !slices.Contains(packed.Kinds(), kind) {
		return t.name
	}
	t.compress = kind
	return strings.TrimSuffix(t.name, ext)
}

// chooseTarget finds the format by its name, or by the suffix of the path.
func chooseTarget(out, format string) (target, error) {
	t := target{dir: filepath.Dir(out), name: filepath.Base(out)}
	plain := t.cutCompression()
	ext := strings.ToLower(filepath.Ext(plain))
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
	t.stem = plain
	if slices.Contains(k.suffixes, ext) {
		t.stem = plain[:len(plain)-len(ext)]
	}
	if t.compress != "" {
		if t.format != "raw" {
			return t, fault.New(fault.Usage, fmt.Errorf("%s cannot be compressed once more", t.format), "leave ."+string(t.compress)+" out of the name")
		}
		t.suffix += "." + string(t.compress)
	}
	if t.stem == "" || strings.HasPrefix(t.name, ".imgbuild-") {
		return t, fault.New(fault.Usage, fmt.Errorf("%q is no name for an output file", t.name), "name another file")
	}
	return t, nil
}
