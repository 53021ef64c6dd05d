// Package convert turns an image into another format: a disk into another
// container or into an OVF package, and a disk in a package into a file.
//
//	result, err := convert.Run(ctx, convert.Options{In: "old.vmdk", Out: "new.qcow2"})
//
// A disk keeps every byte, and a machine all its disks; further images become
// further disks of it. What a description says beside the disk may have no place
// in the new format: the result lists what was lost. The new files have their
// names when they are complete; what was there before under a name is replaced
// then, and stays as it was when the conversion fails.
package convert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
)

// Options say what to convert into what.
type Options struct {
	In, Out string
	// More are further images, whose disks follow that of In: for formats that
	// keep several.
	More []string
	// Format is the name of an output format; by the suffix of Out when empty.
	Format string
	// FormatOptions are those of the format, as a recipe has them.
	FormatOptions map[string]any
	// Disk chooses one of a package's, by its ID or the name of its file. It
	// may be empty when there is but one, or when a package becomes another: all
	// disks of its machine are kept then.
	Disk string
	// CPUs and Memory, in bytes, are for a package whose source does not tell
	// them, or tells others.
	CPUs   int
	Memory int64
	// Created is the time that files and descriptors carry.
	Created time.Time
	// Progress, when not nil, is told how many bytes of the disk are done, and
	// of how many.
	Progress func(done, total int64)
}

// Result is what a conversion did.
type Result struct {
	// Source is the format of what was read, a package or a disk; DiskFormat
	// that of the disk.
	Source     string `json:"source"`
	DiskFormat string `json:"diskFormat"`
	Format     string `json:"format"`
	// Size is the virtual size of the disks, in bytes, and Disks their number.
	Size  int64         `json:"size"`
	Disks int           `json:"disks"`
	Files []output.File `json:"files"`
	// Lost is what the source says and the new files do not. Assumed is what
	// they say and the source does not.
	Lost    []string `json:"lost"`
	Assumed []string `json:"assumed"`
}

// Run converts an image.
func Run(ctx context.Context, o Options) (*Result, error) {
	t, err := chooseTarget(o.Out, o.Format)
	if err != nil {
		return nil, err
	}
	selected, err := formats.Select(t.format, t.options(o.FormatOptions))
	if err != nil {
		return nil, fault.New(fault.Usage, err)
	}
	src, err := openSource(ctx, o, t)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if err := notOver(o.ins(), o.Out); err != nil {
		return nil, err
	}
	r := &Result{Source: src.Format, DiskFormat: src.diskFormat, Format: t.format, Size: src.size(), Disks: 1 + len(src.more), Lost: []string{}, Assumed: []string{}}
	a := r.describe(o, t, src)
	if r.Files, err = write(ctx, a, src.disk, t, selected, o); err != nil {
		return nil, err
	}
	return r, nil
}

// ins are all images that are read.
func (o Options) ins() []string { return append([]string{o.In}, o.More...) }

// notOver refuses to write over what is read.
func notOver(ins []string, out string) error {
	b, err := os.Stat(out)
	if err != nil {
		return nil // there is nothing yet
	}
	if b.IsDir() {
		return fault.New(fault.Usage, fmt.Errorf("%s is a folder", out), "name a file in it")
	}
	for _, in := range ins {
		if a, err := os.Stat(in); err == nil && os.SameFile(a, b) {
			return fault.New(fault.Usage, fmt.Errorf("%s and %s are the same file", in, out), "name another file")
		}
	}
	return nil
}

// write makes the files in a folder of their own beside their place, and moves
// them there when they are complete. The file that the user named comes last.
func write(ctx context.Context, a output.Appliance, d disk.Reader, t target, s output.Selected, o Options) (made []output.File, err error) {
	if _, err := output.OpenDir(t.dir); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(t.dir, ".imgbuild-")
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making a folder for the new files: %w", err))
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	dir, err := output.OpenDir(scratch)
	if err != nil {
		return nil, err
	}
	var tell func(int64)
	if o.Progress != nil {
		tell = func(done int64) { o.Progress(done, d.Size()) }
	}
	if made, err = output.Write(ctx, a, d, dir, []output.Selected{s}, tell); err != nil {
		return nil, err
	}
	names := make([]string, len(made))
	for i := range made {
		names[i] = dir.Path(made[i].Path)
		if t.own != "" && made[i].Path == t.stem+t.own {
			made[i].Path = t.name
		}
		if err := notOver(o.ins(), filepath.Join(t.dir, made[i].Path)); err != nil {
			return nil, err
		}
	}
	for i := len(made) - 1; i >= 0; i-- {
		if err := os.Rename(names[i], filepath.Join(t.dir, made[i].Path)); err != nil {
			return nil, fault.New(fault.Environment, fmt.Errorf("naming the new files: %w", err))
		}
	}
	return made, nil
}
