package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
)

// Blob is an artifact that is being read. It is a builder.Blob, and a
// disk.Reader: holes of a disk image are known and not read.
type Blob struct {
	f    *os.File
	size int64
}

// Open returns the bytes of an artifact. The error of one that is not there
// wraps errdefs.ErrNotFound. What it returns is a *Blob.
func (s *Store) Open(ctx context.Context, desc ocispec.Descriptor) (builder.Blob, error) {
	b, err := s.openBlob(desc)
	if err != nil {
		return nil, s.Diagnose(fmt.Errorf("opening artifact %s: %w", desc.Digest, err))
	}
	return b, nil
}

func (s *Store) openBlob(desc ocispec.Descriptor) (*Blob, error) {
	path, err := s.blobPath(desc.Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it is not in the store: %w", errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() != desc.Size {
		err = fmt.Errorf("it has %d bytes, not %d: %w", fi.Size(), desc.Size, errdefs.ErrDataLoss)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Blob{f, fi.Size()}, nil
}

// blobPath is where containerd's local content store keeps a blob.
func (s *Store) blobPath(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w", d, err)
	}
	return s.path("content", "blobs", d.Algorithm().String(), d.Encoded()), nil
}

// ReadAt follows io.ReaderAt.
func (b *Blob) ReadAt(p []byte, off int64) (int, error) { return b.f.ReadAt(p, off) }

// Size returns the size in bytes.
func (b *Blob) Size() int64 { return b.size }

// Close ends the reading.
func (b *Blob) Close() error { return b.f.Close() }

// Path returns the file that holds the artifact, for programs that need one.
// It must not be changed; a program that might do so gets a copy.
func (b *Blob) Path() string { return b.f.Name() }

// NextData follows disk.Reader.
func (b *Blob) NextData(off int64) (disk.Extent, error) {
	if off >= b.size {
		return disk.Extent{}, io.EOF
	}
	fd := int(b.f.Fd())
	start, err := unix.Seek(fd, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return disk.Extent{}, io.EOF
	case errors.Is(err, unix.EINVAL):
		// A file system that does not know its holes.
		return disk.Extent{Off: off, Len: b.size - off}, nil
	case err != nil:
		return disk.Extent{}, fmt.Errorf("seeking data: %w", err)
	}
	end, err := unix.Seek(fd, start, unix.SEEK_HOLE)
	if err != nil {
		return disk.Extent{}, fmt.Errorf("seeking a hole: %w", err)
	}
	return disk.Extent{Off: start, Len: end - start}, nil
}

// ReadAll returns the whole of a small artifact. One larger than limit bytes is
// an error.
func (s *Store) ReadAll(ctx context.Context, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if desc.Size > limit {
		return nil, fmt.Errorf("reading artifact %s: its %d bytes are more than %d", desc.Digest, desc.Size, limit)
	}
	b, err := s.Open(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	p := make([]byte, b.Size())
	if _, err := io.ReadFull(io.NewSectionReader(b, 0, b.Size()), p); err != nil {
		return nil, fmt.Errorf("reading artifact %s: %w", desc.Digest, err)
	}
	return p, nil
}
