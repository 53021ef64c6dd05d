package vhd_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/vhd"
)

func TestFormat(t *testing.T) {
	for _, kind := range []string{"dynamic", "fixed"} {
		t.Run(kind, func(t *testing.T) {
			outputtest.Test(t, outputtest.Format{
				Format: vhd.Format{}, Options: `{"type":"` + kind + `"}`, Files: []string{"hello-jvm.vhd"}, Check: check,
			})
		})
	}
}

// check lets qemu-img judge. The size is whole MiB, as Azure wants it.
func check(t *testing.T, m outputtest.Made) {
	t.Helper()
	path := m.Dir.Path("hello-jvm.vhd")
	outputtest.Compare(t, m, "vpc", path)
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "-f", "vpc", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	const mib = 1 << 20
	if size := m.Disk.Size(); info.VirtualSize%mib != 0 || info.VirtualSize < size || info.VirtualSize-size >= mib {
		t.Errorf("qemu-img says %d bytes for a disk of %d", info.VirtualSize, size)
	}
}

// TestFixed holds the file to what Azure documents: the content and 512 bytes.
func TestFixed(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: vhd.Format{}, Options: `{"type":"fixed"}`}, "partial grain")
	if m.Files[0].Size != 6<<20+512 {
		t.Errorf("%d bytes for a disk of %d", m.Files[0].Size, m.Disk.Size())
	}
	p, err := os.ReadFile(m.Dir.Path("hello-jvm.vhd"))
	if err != nil {
		t.Fatal(err)
	}
	footer := p[len(p)-512:]
	if string(footer[:8]) != "conectix" || footer[63] != 2 {
		t.Errorf("the last sector begins with %q", footer[:64])
	}
}

func TestOptions(t *testing.T) {
	for options, word := range map[string]string{`{"type":"thick"}`: "thick", `{"type":7}`: "type", `{"kind":"fixed"}`: "kind"} {
		_, err := vhd.Format{}.New(json.RawMessage(options))
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", options, err)
		}
	}
}
