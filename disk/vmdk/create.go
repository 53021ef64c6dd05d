package vmdk

import (
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
)

// Create returns a sink that writes a disk of size bytes, of a type that is
// one file, into w, which must be empty. The size is rounded up to whole
// sectors, as the format wants it. Close does not close w.
func Create(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	return CreateSet(w, size, opts, nil)
}

// CreateSet is like [Create] for all types. w takes the descriptor of a disk of
// several files; the others are made by create, one after the other. It is up
// to the caller to close them, after the sink.
func CreateSet(w io.WriterAt, size int64, opts Options, create func(name string) (io.WriterAt, error)) (disk.Sink, error) {
	sink, err := createSet(w, size, opts, create)
	if err != nil {
		return nil, fmt.Errorf("creating a VMDK: %w", err)
	}
	return sink, nil
}

func createSet(w io.WriterAt, size int64, opts Options, create func(string) (io.WriterAt, error)) (disk.Sink, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if size < 0 || sectors(size) > maxCapacity {
		return nil, fmt.Errorf("a size of %d bytes is out of range", size)
	}
	switch opts.Type {
	case StreamOptimized:
		return newStream(w, size, opts)
	case MonolithicSparse:
		return newMonolithic(w, size, opts)
	case MonolithicFlat, SplitSparse, SplitFlat:
		if create == nil {
			return nil, fmt.Errorf("a disk of type %s has several files", opts.Type)
		}
		return newSet(w, size, opts, create)
	}
	return nil, fmt.Errorf("the type %q is not known", opts.Type)
}
