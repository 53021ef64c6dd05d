// Package raw writes the disk as it is: a sparse file, name.raw.
package raw

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the raw format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "raw" }

// Summary implements output.Format.
func (Format) Summary() string { return "sparse raw disk image" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	if err := output.NoOptions(f, options); err != nil {
		return nil, err
	}
	return writer{}, nil
}

type writer struct{}

// Begin implements output.Writer.
func (writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".raw")
	if err != nil {
		return nil, err
	}
	if err := p.Truncate(size); err != nil {
		p.Abort()
		return nil, fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	return &sink{Pending: p}, nil
}

// sink is the file itself: what is not written stays a hole.
type sink struct{ *output.Pending }

var _ disk.Sink = (*sink)(nil)

// Close implements disk.Sink; the file stays open until Commit.
func (s *sink) Close() error { return nil }

// Commit implements output.Sink.
func (s *sink) Commit() ([]output.File, error) {
	f, err := s.Finish("raw")
	if err != nil {
		s.Abort()
		return nil, err
	}
	return []output.File{f}, s.Pending.Commit()
}
