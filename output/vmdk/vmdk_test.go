package vmdk_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/vmdk"
)

func TestFormat(t *testing.T) {
	for kind, files := range map[string][]string{
		"streamOptimized":  {"hello-jvm.vmdk"},
		"monolithicSparse": {"hello-jvm.vmdk"},
		"monolithicFlat":   {"hello-jvm-flat.vmdk", "hello-jvm.vmdk"},
	} {
		t.Run(kind, func(t *testing.T) {
			outputtest.Test(t, outputtest.Format{
				Format: vmdk.Format{}, Options: `{"type":"` + kind + `"}`, Files: files, Check: check,
			})
		})
	}
}

// check lets qemu-img judge.
func check(t *testing.T, m outputtest.Made) {
	t.Helper()
	path := m.Dir.Path("hello-jvm.vmdk")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "vmdk", path)
	outputtest.Compare(t, m, "vmdk", path)
}

// TestSplit writes a disk of 9 GiB in files below 2 GiB.
func TestSplit(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 9 GiB of holes twice")
	}
	for kind, letter := range map[string]string{"twoGbMaxExtentSparse": "s", "twoGbMaxExtentFlat": "f"} {
		m := outputtest.Write(t, outputtest.Format{Format: vmdk.Format{}, Options: `{"type":"` + kind + `"}`}, "9 GiB")
		check(t, m)
		var want []string
		for _, n := range []string{"1", "2", "3", "4", "5"} {
			want = append(want, "hello-jvm-"+letter+"00"+n+".vmdk")
		}
		got := names(m.Files)
		if !slices.Equal(got[1:], want) || got[0] != "hello-jvm.vmdk" {
			t.Errorf("the files are %q", got)
		}
		for _, f := range m.Files {
			if f.Size >= 1<<31 {
				t.Errorf("%s has %d bytes", f.Path, f.Size)
			}
		}
	}
}

func names(files []output.File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.Path)
	}
	return list
}

func TestOptions(t *testing.T) {
	for options, word := range map[string]string{`{"type":"seSparse"}`: "seSparse", `{"type":7}`: "type", `{"kind":"flat"}`: "kind"} {
		_, err := vmdk.Format{}.New(json.RawMessage(options))
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", options, err)
		}
	}
}
