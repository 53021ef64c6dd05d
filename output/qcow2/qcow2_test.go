package qcow2_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/qcow2"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{
		Format: qcow2.Format{}, Files: []string{"hello-jvm.qcow2"},
		Check: func(t *testing.T, m outputtest.Made) { check(t, m, "zstd") },
	})
}

func TestCompression(t *testing.T) {
	for option, want := range map[string]string{"zstd": "zstd", "zlib": "zlib", "none": "zlib"} {
		f := outputtest.Format{Format: qcow2.Format{}, Options: `{"compression":"` + option + `"}`}
		check(t, outputtest.Write(t, f, "mixed"), want)
	}
}

// check lets qemu-img judge. compression is what the header declares.
func check(t *testing.T, m outputtest.Made, compression string) {
	t.Helper()
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	path := m.Dir.Path("hello-jvm.qcow2")
	disktest.Run(t, qemu, "check", "-f", "qcow2", path)
	outputtest.Compare(t, m, "qcow2", path)
	var info struct {
		Specific struct {
			Data struct {
				Compat      string `json:"compat"`
				Compression string `json:"compression-type"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	if info.Specific.Data.Compat != "1.1" || info.Specific.Data.Compression != compression {
		t.Errorf("qemu-img says %+v", info)
	}
	// What qemu-img makes of it is the disk again.
	back := filepath.Join(t.TempDir(), "raw")
	disktest.Run(t, qemu, "convert", "-f", "qcow2", "-O", "raw", path, back)
	d, err := disk.OpenFile(back)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := disktest.Diff(d, m.Disk); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for options, word := range map[string]string{
		`{"compression":"lzma"}`: "lzma",
		`{"compression":7}`:      "compression",
		`{"cluster":7}`:          "cluster",
	} {
		_, err := qcow2.Format{}.New(json.RawMessage(options))
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", options, err)
		}
	}
}
