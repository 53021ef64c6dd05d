package output_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// counted is a disk that counts what is read of it.
type counted struct {
	*disk.Memory
	bytes atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.Memory.ReadAt(p, off)
}

// TestOneRead writes all formats that hold the disk: its data are read once,
// its holes never.
func TestOneRead(t *testing.T) {
	const size, run = 9 << 30, 3 << 20
	d := &counted{Memory: disk.NewMemory(size)}
	for _, off := range []int64{0, 5 << 30, size - run} {
		if _, err := d.Memory.WriteAt(bytes.Repeat([]byte("data"), run/4), off); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var selected []output.Selected
	for _, name := range []string{"qcow2", "ova", "ovf"} {
		s, err := formats.Select(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, s)
	}
	var steps []int64
	files, err := output.Write(t.Context(), outputtest.Appliance(), d, dir, selected, func(done int64) { steps = append(steps, done) })
	if err != nil {
		t.Fatal(err)
	}
	if got := d.bytes.Load(); got != 3*run {
		t.Errorf("%d bytes were read for %d formats, the disk holds %d", got, len(selected), 3*run)
	}
	var total int64
	for _, f := range files {
		total += f.Size
	}
	if len(files) != 5 || total > 8<<20 {
		t.Errorf("%d files of %d bytes", len(files), total)
	}
	for i := 1; i < len(steps); i++ {
		if steps[i] < steps[i-1] {
			t.Errorf("progress went back from %d to %d", steps[i-1], steps[i])
		}
	}
	if steps[len(steps)-1] != size {
		t.Errorf("progress ended at %d", steps[len(steps)-1])
	}
}

func TestNames(t *testing.T) {
	dir, err := output.OpenDir(filepath.Join(t.TempDir(), "made", "on", "the", "way"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "../a", "/a", ".imgbuild-a"} {
		if p, err := dir.Create(name); err == nil {
			p.Abort()
			t.Errorf("%q passed", name)
		}
	}
	p, err := dir.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir.Path("a")); err == nil {
		t.Error("the file has its name before it is complete")
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dir.Path("a")); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestChecked has a judge who lets a flat VMDK pass, whose two files need each
// other, and refuses the raw disk.
func TestChecked(t *testing.T) {
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	flat, err := formats.Select("vmdk", map[string]any{"type": "monolithicFlat"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := formats.Select("raw", nil)
	if err != nil {
		t.Fatal(err)
	}
	d := disk.NewMemory(1 << 20)
	files, err := output.Write(t.Context(), outputtest.Appliance(), d, dir.Checked(func(path, format string) error {
		if format == "raw" {
			return errors.New("not as it was")
		}
		if strings.HasSuffix(path, "-flat.vmdk") {
			return nil
		}
		r, _, closer, err := image.Open(path)
		if err != nil {
			return err
		}
		defer closer.Close()
		return disk.Compare(t.Context(), d, r)
	}), []output.Selected{raw, flat}, nil)
	if err == nil || !strings.Contains(err.Error(), "writing raw: reading back") || !strings.Contains(err.Error(), "not as it was") {
		t.Error(err)
	}
	if len(files) != 2 || files[0].Format != "vmdk" {
		t.Errorf("%v", files)
	}
	entries, err := os.ReadDir(filepath.Dir(dir.Path("x")))
	if err != nil || len(entries) != len(files) {
		t.Errorf("%v are in the folder (%v)", entries, err)
	}
}

func TestFolderIsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := output.OpenDir(path); fault.KindOf(err) != fault.Environment || len(fault.HintsOf(err)) == 0 {
		t.Errorf("%v", err)
	}
}

func TestDecodeOptions(t *testing.T) {
	s, err := formats.Select("raw", nil)
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Word string `json:"word"`
	}
	o.Word = "default"
	if err := output.DecodeOptions(s.Format, json.RawMessage("{}"), &o); err != nil || o.Word != "default" {
		t.Errorf("%q, %v", o.Word, err)
	}
	err = output.DecodeOptions(s.Format, json.RawMessage(`{"word":"x","wrod":"y"}`), &o)
	if err == nil || !strings.Contains(err.Error(), `output raw`) || !strings.Contains(err.Error(), "wrod") {
		t.Errorf("%v", err)
	}
}

// TestBehind writes two formats behind a gate: nothing has a name before it
// opens, nothing is left when it does not.
func TestBehind(t *testing.T) {
	var selected []output.Selected
	for _, name := range []string{"raw", "ovf"} {
		s, err := formats.Select(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, s)
	}
	refused := errors.New("refused")
	for _, verdict := range []error{nil, refused} {
		path := t.TempDir()
		dir, err := output.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		asked, decided := make(chan struct{}, len(selected)), make(chan struct{})
		gated := dir.Behind(func() error {
			asked <- struct{}{}
			<-decided
			return verdict
		})
		var files []output.File
		written := make(chan error)
		go func() {
			var err error
			files, err = output.Write(t.Context(), outputtest.Appliance(), disk.NewMemory(1<<20), gated, selected, nil)
			written <- err
		}()
		for range selected {
			<-asked
		}
		named, err := filepath.Glob(filepath.Join(path, "[^.]*"))
		if err != nil || len(named) > 0 {
			t.Errorf("named before the verdict: %v, %v", named, err)
		}
		close(decided)
		if err := <-written; !errors.Is(err, verdict) {
			t.Errorf("error %v, want %v", err, verdict)
		}
		left, err := os.ReadDir(path)
		if err != nil || len(left) != len(files) || (len(files) == 0) != (verdict != nil) {
			t.Errorf("verdict %v: %d files described, in the folder %v, %v", verdict, len(files), left, err)
		}
	}
}
