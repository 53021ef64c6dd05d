package clean

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/disk/vmdk"
)

// writer makes files of one container format.
type writer struct {
	ending string
	create func(f *os.File, size int64, name string) (disk.Sink, error)
}

// writers are all of them, by the names that disk/image gives the formats.
func writers() map[string]writer {
	return map[string]writer{
		"raw": {".img", func(f *os.File, size int64, _ string) (disk.Sink, error) { return raw.Create(f, size) }},
		"qcow2": {".qcow2", func(f *os.File, size int64, _ string) (disk.Sink, error) {
			return qcow2.Create(f, size, qcow2.Options{})
		}},
		"vhd": {".vhd", func(f *os.File, size int64, _ string) (disk.Sink, error) {
			return vhd.Create(f, size, vhd.Options{})
		}},
		"vhdx": {".vhdx", func(f *os.File, size int64, _ string) (disk.Sink, error) {
			return vhdx.Create(f, size, vhdx.Options{})
		}},
		"vmdk": {".vmdk", func(f *os.File, size int64, name string) (disk.Sink, error) {
			return vmdk.Create(f, size, vmdk.Options{Name: name})
		}},
	}
}

// Formats returns the names of the formats that results can have.
func Formats() []string { return slices.Sorted(maps.Keys(writers())) }

func formatNames() string { return strings.Join(Formats(), ", ") }
