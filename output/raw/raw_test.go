package raw_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/raw"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: raw.Format{}, Files: []string{"hello-jvm.raw"}, Check: check})
}

// check reads the file back; holes must have stayed holes.
func check(t *testing.T, m outputtest.Made) {
	d, err := disk.OpenFile(m.Dir.Path("hello-jvm.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	disktest.TestReader(t, d, m.Disk)
	var data int64
	for e, err := range disk.DataExtents(m.Disk) {
		if err != nil {
			t.Fatal(err)
		}
		data += e.Len + disk.BlockSize
	}
	if m.Files[0].Allocated > data+64<<10 {
		t.Errorf("%d bytes are allocated for %d of data", m.Files[0].Allocated, data)
	}
}

// TestCompressed writes streams, which the usual programs unpack.
func TestCompressed(t *testing.T) {
	for kind, program := range map[string]string{"xz": "xz", "zst": "zstd", "gz": "gzip"} {
		f := outputtest.Format{Format: raw.Format{}, Options: `{"compress":"` + kind + `"}`, Files: []string{"hello-jvm.raw." + kind}}
		m := outputtest.Write(t, f, "partial grain")
		out := filepath.Join(t.TempDir(), "raw")
		cmd := exec.Command("sh", "-c", `"$1" -dc < "$2" > "$3"`, "sh", disktest.Program(t, program, program), m.Dir.Path(f.Files[0]), out)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, text)
		}
		d, err := disk.OpenFile(out)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := disktest.Diff(d, m.Disk); err != nil || d.Size() != m.Disk.Size() {
			t.Errorf("%s: %d bytes, %v", kind, d.Size(), err)
		}
		if kind == "zst" { // the quickest stands for all
			outputtest.Test(t, f)
		}
	}
}

func TestOptions(t *testing.T) {
	for options, word := range map[string]string{`{"compress":"bz2"}`: "bz2", `{"compress":7}`: "compress", `{"level":9}`: "level"} {
		_, err := raw.Format{}.New(json.RawMessage(options))
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", options, err)
		}
	}
}
