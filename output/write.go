package output

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
	outputs := make([]*pendingOutput, len(selected))
	for i, s := range selected {
		outputs[i] = &pendingOutput{}
		outputs[i].sink, outputs[i].err = s.Writer.Begin(ctx, a, dir, src.Size())
	}
	copyDisk(ctx, src, outputs, progress)
	each(outputs, (*pendingOutput).close)
	if err := ctx.Err(); err != nil {
		each(outputs, (*pendingOutput).abort)
		return nil, err
	}
	each(outputs, (*pendingOutput).commit)
	var files []File
	var errs []error
	for i, o := range outputs {
		files = append(files, o.files...)
		if o.err != nil {
			errs = append(errs, fmt.Errorf("writing %s: %w", selected[i].Format.Name(), environment(o.err)))
		}
	}
	return files, errors.Join(errs...)
}

// pendingOutput is a format on its way.
type pendingOutput struct {
	sink  Sink // nil when it did not begin
	err   error
	files []File
}

// copyDisk hands the disk to all sinks that want it.
func copyDisk(ctx context.Context, src disk.Reader, outputs []*pendingOutput, progress func(int64)) {
	var takers []*pendingOutput
	var sinks []disk.Sink
	for _, o := range outputs {
		if o.err == nil && takesDisk(o.sink) {
			takers, sinks = append(takers, o), append(sinks, o.sink)
		}
	}
	if len(sinks) == 0 {
		return
	}
	for i, err := range disk.CopyAll(ctx, src, progress, sinks...) {
		takers[i].err = err
	}
}

// each runs a step of all outputs at the same time: they wait for the medium
// and hash what they wrote.
func each(outputs []*pendingOutput, step func(*pendingOutput)) {
	var steps sync.WaitGroup
	for _, o := range outputs {
		steps.Go(func() { step(o) })
	}
	steps.Wait()
}

func (o *pendingOutput) close() {
	if o.err == nil {
		o.err = o.sink.Close()
	}
}

func (o *pendingOutput) abort() {
	if o.sink != nil {
		o.sink.Abort()
	}
}

func (o *pendingOutput) commit() {
	if o.err != nil {
		o.abort()
		return
	}
	o.files, o.err = o.sink.Commit()
}
