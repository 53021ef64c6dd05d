package stages

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// strangeDisk has one partition, with bytes in it that no driver knows, and
// bytes in the gap before it.
func strangeDisk(t *testing.T, path string) {
	t.Helper()
	const mib = 1 << 20
	f, err := disk.CreateFile(path, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := part.Table{Scheme: part.GPT, DiskGUID: part.GUIDFrom(nil, "disk"), Entries: []part.Entry{{
		Index: 1, Name: "strange", Type: part.TypeLinux, GUID: part.GUIDFrom(nil, "strange"),
		Extent: disk.Extent{Off: mib, Len: mib},
	}}}
	if err := table.Write(f); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{512 << 10, mib + 4096} {
		if _, err := f.WriteAt([]byte("what is this?"), off); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScrubGate shows that a disk with a byte of no owner ends a build with
// exit code 5, and passes only when the recipe says so.
func TestScrubGate(t *testing.T) {
	dir := t.TempDir()
	strangeDisk(t, filepath.Join(dir, "disk"))
	s, err := store.Open(filepath.Join(dir, "cache"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &builder.Work{Dir: dir, Store: s, Log: hclog.NewNullLogger(),
		Progress: func(int64, int64, builder.Unit) {}, Warn: t.Logf}
	desc, err := putImage(t.Context(), w, filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	w.Inputs = map[string]ocispec.Descriptor{"disk": desc}

	if w.Inputs, err = (Options{}).scrubDisk(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	w.Stage.Params = []byte(`{"policy":"default"}`)
	_, err = Options{}.proveDisk(t.Context(), w)
	if fault.KindOf(err) != fault.Residue || !strings.Contains(err.Error(), "at offset 1048576") {
		t.Errorf("error %v, want a residue at the partition's offset", err)
	}

	w.Stage.Params = []byte(`{"policy":"none"}`)
	out, err := Options{}.proveDisk(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	text, err := readBlob(t.Context(), s, out["report"])
	if err != nil {
		t.Fatal(err)
	}
	var report sanitize.Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Changed != int64(len("what is this?")) || len(report.Unknown) != 1 {
		t.Errorf("changed %d bytes and left %d regions unknown, want the gap scrubbed and the partition left", report.Changed, len(report.Unknown))
	}
}
