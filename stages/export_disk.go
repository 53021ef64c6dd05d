package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/fault"
)

// ScratchDisk writes the scrubbed disk of a finished build as a raw image to a
// place of its own, for a test before anything is exported. The caller calls
// remove when it is done with it.
func (s *Session) ScratchDisk(ctx context.Context, results map[string]builder.Outputs) (path string, remove func() error, err error) {
	src, closer, err := OpenDisk(ctx, s.Store, results[StageScrub]["disk"])
	if err != nil {
		return "", nil, err
	}
	defer closer.Close()
	dir, remove, err := s.Store.Scratch("test")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, s.Recipe.Recipe.Name+".raw")
	if err := writeRaw(ctx, path, src); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return path, remove, nil
}

// writeRaw writes a disk into a new sparse file.
func writeRaw(ctx context.Context, path string, src disk.Reader) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the disk to test: %w", err))
	}
	defer f.Close()
	sink, err := raw.Create(f, src.Size())
	if err == nil {
		err = errors.Join(disk.Copy(ctx, src, nil, sink), sink.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the disk to test: %w", err)
	}
	return nil
}
