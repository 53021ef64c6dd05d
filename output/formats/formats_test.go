package formats_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
)

func TestAll(t *testing.T) {
	all := formats.All()
	sorted := slices.IsSortedFunc(all, func(a, b output.Format) int { return strings.Compare(a.Name(), b.Name()) })
	if !sorted {
		t.Error("the formats are not sorted by name")
	}
	for i, f := range all {
		if i > 0 && all[i-1].Name() == f.Name() {
			t.Errorf("there are two formats %s", f.Name())
		}
		s, err := formats.Select(f.Name(), nil)
		if err != nil || s.Format.Name() != f.Name() || s.Writer == nil {
			t.Errorf("%s: %v", f.Name(), err)
		}
		if f.Summary() == "" || strings.HasSuffix(f.Summary(), ".") {
			t.Errorf("%s: the summary is %q", f.Name(), f.Summary())
		}
	}
}

func TestFileOptions(t *testing.T) {
	if got := formats.FileOptions("ova"); !slices.Equal(got, []string{"certificate", "key"}) {
		t.Errorf("ova: %q", got)
	}
	for _, name := range []string{"raw", "floppy"} {
		if got := formats.FileOptions(name); got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestSelect(t *testing.T) {
	if _, err := formats.Select("qcow2", map[string]any{"compression": "zlib"}); err != nil {
		t.Error(err)
	}
	for name, options := range map[string]map[string]any{
		"floppy": nil,
		"qcow2":  {"compression": "lzma"},
		"raw":    {"size": 5},
	} {
		_, err := formats.Select(name, options)
		if fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", name, err)
		}
		if name == "floppy" && !strings.Contains(strings.Join(fault.HintsOf(err), ""), "qcow2, raw") {
			t.Errorf("the hints are %q", fault.HintsOf(err))
		}
	}
}
