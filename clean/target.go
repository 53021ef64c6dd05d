package clean

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// target is a file to be written.
type target struct {
	path   string
	format string
}

// temporary is what the names of unfinished files begin with.
const temporary = ".imgbuild-"

// targets decides where each disk goes, before anything is done.
func (s *source) targets(opts Options) ([]target, error) {
	targets := make([]target, len(s.disks))
	taken := map[string]bool{}
	folder := ""
	if info, err := os.Stat(opts.Out); err == nil && info.IsDir() || opts.Out != "" && len(s.disks) > 1 {
		folder = opts.Out
	}
	for i, d := range s.disks {
		t := target{format: opts.Format}
		if t.format == "" {
			t.format = "raw"
			if _, ok := writers()[d.format]; ok {
				t.format = d.format
			}
		}
		w, ok := writers()[t.format]
		if !ok {
			return nil, fault.New(fault.Usage, fmt.Errorf("there is no format %q to write", t.format), "the formats are "+formatNames())
		}
		switch {
		case opts.Out != "" && folder == "":
			t.path = opts.Out
		case folder != "":
			t.path = filepath.Join(folder, s.resultName(d)+w.ending)
		default:
			t.path = filepath.Join(filepath.Dir(s.path), s.resultName(d)+w.ending)
		}
		if taken[t.path] {
			return nil, fault.New(fault.Input, fmt.Errorf("two disks of %s would become %s", s.path, t.path))
		}
		taken[t.path] = true
		if same(t.path, s.path) {
			return nil, fault.New(fault.Usage, fmt.Errorf("%s would be overwritten", s.path), "name another file with -o, or say --in-place")
		}
		targets[i] = t
	}
	if folder != "" && !opts.DryRun {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fault.New(fault.Environment, fmt.Errorf("making the folder of the results: %w", err), "name another with -o")
		}
	}
	return targets, nil
}

// resultName is the name of a result that the user did not name, without its
// ending.
func (s *source) resultName(d sourceDisk) string {
	name := stem(s.path)
	if d.name != "" && stem(d.name) != name {
		name += "-" + stem(d.name)
	}
	return name + ".sanitized"
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// scrubInto writes a new image of a disk, proves it, and gives it its name.
func scrubInto(ctx context.Context, k sourceDisk, t target, opts Options, d *DiskReport) error {
	r, err := opts.replay(ctx, k)
	if err != nil {
		return explain(err)
	}
	if opts.DryRun {
		plan, err := sanitize.Prepare(ctx, r, opts.scrubOptions())
		if err == nil {
			d.Report = plan.Report
		}
		return explain(err)
	}
	path := filepath.Join(filepath.Dir(t.path), temporary+filepath.Base(t.path))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("creating the result: %w", err), "name a file that you may write with -o")
	}
	err = explain(t.fill(ctx, r, f, opts, d))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path, t.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	d.Output = t.path
	return nil
}

// fill writes the sanitized disk into f and proves it.
func (t target) fill(ctx context.Context, r disk.Reader, f *os.File, opts Options, d *DiskReport) error {
	scrub := opts.scrubOptions()
	scrub.Anew = true
	plan, err := sanitize.Prepare(ctx, r, scrub)
	if err != nil {
		return err
	}
	if err := t.write(ctx, plan, f); err != nil {
		return err
	}
	d.Report, d.Stored = plan.Report, stored(f)
	return prove(ctx, plan, f.Name(), r.Size())
}

// write encodes the planned image into f.
func (t target) write(ctx context.Context, plan *sanitize.Plan, f *os.File) error {
	sink, err := writers()[t.format].create(f, plan.Reader().Size(), filepath.Base(t.path))
	if err != nil {
		return err
	}
	if err := errors.Join(disk.Copy(ctx, plan.Reader(), nil, sink), sink.Close()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return wrapSync(f.Sync())
}

func wrapSync(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("syncing the result: %w", err)
}

// prove opens the result anew. Some formats round the size up; the disk is
// what it was.
func prove(ctx context.Context, plan *sanitize.Plan, path string, size int64) error {
	r, _, closer, err := image.Open(path)
	if err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	defer closer.Close()
	return plan.Prove(ctx, disk.Section(r, 0, size))
}

// stored is the space that a file takes, in bytes.
func stored(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
