package outputtest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output"
)

// testFailures ends writers in every way but the good one.
func (f Format) testFailures(t *testing.T) {
	d := disktest.Named(t, "1 MiB")
	t.Run("abort", func(t *testing.T) { f.testAbort(t, d) })
	t.Run("source", func(t *testing.T) { f.testBrokenSource(t, d) })
	t.Run("cancel", func(t *testing.T) { f.testCancel(t, d) })
	t.Run("neighbour", func(t *testing.T) { f.testNeighbour(t, d) })
	t.Run("name taken", func(t *testing.T) { f.testNameTaken(t, d) })
}

// testAbort drops a sink before, during and after the disk.
func (f Format) testAbort(t *testing.T, d disk.Reader) {
	for _, stage := range []string{"begun", "half", "closed"} {
		dir := t.TempDir()
		s, err := f.selected(t)[0].Writer.Begin(t.Context(), f.Appliance, openDir(t, dir), d.Size())
		if err != nil {
			t.Fatal(err)
		}
		if stage != "begun" {
			if _, err := s.WriteAt([]byte("some data"), 70_000); err != nil {
				t.Fatal(err)
			}
		}
		if stage == "closed" {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s.Abort()
		checkEmpty(t, dir)
	}
}

// testBrokenSource reads a disk that cannot be read to its end. Files of an
// earlier build stay as they are.
func (f Format) testBrokenSource(t *testing.T, d disk.Reader) {
	dir := t.TempDir()
	for _, name := range f.Files {
		if err := os.WriteFile(openDir(t, dir).Path(name), []byte("of an earlier build"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("the medium is broken")
	made, err := output.Write(t.Context(), f.Appliance, brokenDisk{d, broken}, openDir(t, dir), f.selected(t), nil)
	if err == nil {
		// A format that does not hold the disk does not read it.
		checkFiles(t, Made{Dir: openDir(t, dir), Files: made})
		return
	}
	if !errors.Is(err, broken) || len(made) > 0 {
		t.Errorf("%d files and the error %v", len(made), err)
	}
	if diff := cmp.Diff(f.Files, list(t, dir)); diff != "" {
		t.Errorf("the folder changed:\n%s", diff)
	}
	for _, name := range f.Files {
		if b, err := os.ReadFile(openDir(t, dir).Path(name)); err != nil || string(b) != "of an earlier build" {
			t.Errorf("%s holds %.20q (%v)", name, b, err)
		}
	}
}

// testCancel ends the context before and amid the disk.
func (f Format) testCancel(t *testing.T, d disk.Reader) {
	for _, amid := range []bool{false, true} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if !amid {
			cancel()
		}
		// The neighbour makes sure that there is something amid.
		selected := append(f.selected(t), output.Selected{Format: neighbour{}, Writer: neighbour{cancel: cancel}})
		made, err := output.Write(ctx, f.Appliance, d, openDir(t, dir), selected, nil)
		if !errors.Is(err, context.Canceled) || len(made) > 0 {
			t.Errorf("%d files and the error %v", len(made), err)
		}
		checkEmpty(t, dir)
	}
}

// testNeighbour writes beside a format that fails at each of its steps.
func (f Format) testNeighbour(t *testing.T, d disk.Reader) {
	want := f.write(t, t.TempDir(), d).Files
	for _, step := range []string{"begin", "write", "close", "commit"} {
		dir := t.TempDir()
		n := neighbour{fails: step}
		selected := append([]output.Selected{{Format: n, Writer: n}}, f.selected(t)...)
		made, err := output.Write(t.Context(), f.Appliance, d, openDir(t, dir), selected, nil)
		if !errors.Is(err, errNeighbour) {
			t.Errorf("%s: the error is %v", step, err)
		}
		if diff := cmp.Diff(want, made, ignoreAllocated); diff != "" {
			t.Errorf("%s: other files were made:\n%s", step, diff)
		}
		checkFiles(t, Made{Dir: openDir(t, dir), Files: made})
	}
}

// testNameTaken finds a folder where its last file should go: none of its
// files may appear.
func (f Format) testNameTaken(t *testing.T, d disk.Reader) {
	for _, taken := range f.Files {
		dir := openDir(t, t.TempDir())
		if err := os.Mkdir(dir.Path(taken), 0o755); err != nil {
			t.Fatal(err)
		}
		made, err := output.Write(t.Context(), f.Appliance, d, dir, f.selected(t), nil)
		if err == nil || len(made) > 0 {
			t.Errorf("%s: %d files and the error %v", taken, len(made), err)
		}
		if diff := cmp.Diff([]string{taken}, list(t, dir.Path(""))); diff != "" {
			t.Errorf("%s: the folder holds\n%s", taken, diff)
		}
	}
}

// brokenDisk holds data up to its middle and cannot be read from there.
type brokenDisk struct {
	disk.Reader
	err error
}

func (b brokenDisk) NextData(off int64) (disk.Extent, error) {
	return disk.Extent{Off: off, Len: b.Size() - off}, nil
}

func (b brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.Size()/2 {
		return 0, b.err
	}
	return b.Reader.ReadAt(p, off)
}

var errNeighbour = errors.New("the neighbour failed")

// neighbour is a format that makes no files. It fails at a step, or ends the
// context when it gets data.
type neighbour struct {
	fails  string
	cancel context.CancelFunc
}

func (n neighbour) at(step string) error {
	if n.fails == step {
		return errNeighbour
	}
	return nil
}

func (neighbour) Name() string                                 { return "neighbour" }
func (neighbour) Summary() string                              { return "a format that fails" }
func (n neighbour) New(json.RawMessage) (output.Writer, error) { return n, nil }

func (n neighbour) Begin(context.Context, output.Appliance, *output.Dir, int64) (output.Sink, error) {
	if err := n.at("begin"); err != nil {
		return nil, err
	}
	return n, nil
}

func (n neighbour) WriteAt(p []byte, _ int64) (int, error) {
	if n.cancel != nil {
		n.cancel()
	}
	return len(p), n.at("write")
}

func (n neighbour) Close() error                   { return n.at("close") }
func (n neighbour) Commit() ([]output.File, error) { return nil, n.at("commit") }
func (neighbour) Abort()                           {}
