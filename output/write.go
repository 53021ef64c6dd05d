package output

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Selected is a writer that a recipe asked for.
type Selected struct {
	Format Format
	Writer Writer
}

// Write writes the appliance in every selected format from one pass over the
// disk. progress, when not nil, is told how many bytes of the disk are done.
//
// A format that fails leaves no file behind; the files of the others are
// still made and returned, with an error that says which failed. When ctx ends
// none is made.
func Write(ctx context.Context, a Appliance, src disk.Reader, dir *Dir, selected []Selected, progress func(done int64)) ([]File, error) {
	sinks := make([]Sink, len(selected))
	errs := make([]error, len(selected))
	var open []disk.Sink
	var index []int
	for i, s := range selected {
		sink, err := s.Writer.Begin(ctx, a, dir, src.Size())
		if err != nil {
			errs[i] = err
			continue
		}
		sinks[i] = sink
		open = append(open, sink)
		index = append(index, i)
	}
	for k, err := range disk.CopyAll(ctx, src, progress, open...) {
		if err == nil {
			err = open[k].Close()
		}
		errs[index[k]] = err
	}
	if err := ctx.Err(); err != nil {
		for _, s := range sinks {
			if s != nil {
				s.Abort()
			}
		}
		return nil, err
	}
	var files []File
	for i, s := range sinks {
		if s == nil {
			continue
		}
		if errs[i] != nil {
			s.Abort()
			continue
		}
		made, err := s.Commit()
		errs[i] = err
		files = append(files, made...)
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("writing %s: %w", selected[i].Format.Name(), err)
		}
	}
	return files, errors.Join(errs...)
}
