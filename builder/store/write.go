package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
)

// writer is a new artifact. Long runs of zeros become holes.
type writer struct {
	s         *Store
	ref       string
	mediaType string
	w         content.Writer
	holes     *holePuncher
	size      int64
	done      bool
}

// Create begins a new artifact. Nothing is visible before Commit; what is
// equal to an artifact that exists is dropped in its favour.
func (s *Store) Create(ctx context.Context, mediaType string) (builder.BlobWriter, error) {
	return s.create(ctx, mediaType, "")
}

func (s *Store) create(ctx context.Context, mediaType string, expected digest.Digest) (*writer, error) {
	ref := s.session.next()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: expected}
	w, err := s.content.Writer(ctx, content.WithRef(ref), content.WithDescriptor(desc))
	if err != nil {
		return nil, s.Diagnose(fmt.Errorf("creating an artifact: %w", err))
	}
	// The local content store writes to the file "data" of the ingest.
	data := s.path("content", "ingest", digest.FromString(ref).Encoded(), "data")
	holes, err := newHolePuncher(data)
	if err != nil {
		return nil, s.Diagnose(errors.Join(
			fmt.Errorf("creating an artifact: %w", err), w.Close(), s.content.Abort(ctx, ref)))
	}
	return &writer{s: s, ref: ref, mediaType: mediaType, w: w, holes: holes}, nil
}

// Write follows io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		return n, w.s.Diagnose(fmt.Errorf("writing an artifact: %w", err))
	}
	w.size += int64(n)
	w.holes.wrote(p)
	return n, nil
}

// Commit makes the artifact durable and visible.
func (w *writer) Commit(ctx context.Context) (ocispec.Descriptor, error) {
	return w.commit(ctx, "")
}

func (w *writer) commit(ctx context.Context, expected digest.Digest) (ocispec.Descriptor, error) {
	if w.done {
		return ocispec.Descriptor{}, errors.New("committing an artifact: it is closed")
	}
	desc := ocispec.Descriptor{MediaType: w.mediaType, Digest: w.w.Digest(), Size: w.size}
	w.holes.finish()
	// Shared with others, but not with a prune, which might remove the equal
	// artifact that this one is dropped for.
	release, err := w.s.guard(flock.Shared)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer release()
	err = w.w.Commit(ctx, w.size, expected)
	if errdefs.IsAlreadyExists(err) {
		err = w.s.touchBlob(desc.Digest)
	}
	if err != nil {
		return ocispec.Descriptor{}, w.s.Diagnose(fmt.Errorf("committing an artifact: %w", err))
	}
	w.done = true
	return desc, nil
}

// Close drops what was not committed.
func (w *writer) Close() error {
	if w.done {
		return nil
	}
	w.done = true
	w.holes.close()
	err := errors.Join(w.w.Close(), w.s.content.Abort(context.Background(), w.ref))
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("dropping an artifact: %w", err)
	}
	return nil
}

// touchBlob marks an artifact as used now, for Prune.
func (s *Store) touchBlob(d digest.Digest) error {
	path, err := s.blobPath(d)
	if err != nil {
		return err
	}
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// PutFile stores a copy of a file. Holes of the file are not read.
func (s *Store) PutFile(ctx context.Context, path, mediaType string) (ocispec.Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("storing a file: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("storing a file: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return ocispec.Descriptor{}, fmt.Errorf("storing %s: it is not a regular file", path)
	}
	w, err := s.Create(ctx, mediaType)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer w.Close()
	if err := copyDisk(ctx, w, &Blob{f, fi.Size()}); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("storing %s: %w", path, err)
	}
	return w.Commit(ctx)
}

// copyDisk writes all of r to w, zeros for its holes.
func copyDisk(ctx context.Context, w io.Writer, r disk.Reader) error {
	buf := make([]byte, 1<<20)
	zeros := make([]byte, 1<<20)
	for pos := int64(0); pos < r.Size(); {
		data, err := r.NextData(pos)
		if err == io.EOF {
			data = disk.Extent{Off: r.Size()}
		} else if err != nil {
			return err
		}
		if _, err := io.CopyBuffer(onlyWriter{w}, &zeroReader{ctx, zeros, data.Off - pos}, buf); err != nil {
			return err
		}
		section := io.NewSectionReader(r, data.Off, data.Len)
		if n, err := io.CopyBuffer(onlyWriter{w}, ctxReader{ctx, section}, buf); err != nil {
			return err
		} else if n != data.Len {
			return fmt.Errorf("reading at %d: %w", data.Off+n, io.ErrUnexpectedEOF)
		}
		pos = data.End()
	}
	return nil
}

// onlyWriter hides an io.ReaderFrom, so that the given buffer is used.
type onlyWriter struct{ io.Writer }

// ctxReader ends when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Ingest stores what fill writes, if it has the expected digest and size; size
// is -1 when it is not known. When the artifact exists already, fill is not
// called. A difference is an error of kind fault.Input.
func (s *Store) Ingest(ctx context.Context, expected digest.Digest, size int64, mediaType string, fill func(w io.Writer) error) (ocispec.Descriptor, error) {
	if err := expected.Validate(); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("storing an input: digest %q: %w", expected, err)
	}
	if desc, ok, err := s.have(expected, size, mediaType); ok || err != nil {
		return desc, err
	}
	w, err := s.create(ctx, mediaType, expected)
	if errdefs.IsAlreadyExists(err) {
		desc, _, err := s.have(expected, size, mediaType)
		return desc, err
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer w.Close()
	if err := fill(&limitWriter{w, size}); err != nil {
		return ocispec.Descriptor{}, err
	}
	if size >= 0 && w.size != size {
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("storing an input: it has %d bytes, expected %d", w.size, size))
	}
	if got := w.w.Digest(); got != expected {
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("storing an input: its digest is %s, expected %s", got, expected))
	}
	return w.commit(ctx, expected)
}

// have returns the descriptor of an artifact that exists, and marks it as used.
func (s *Store) have(d digest.Digest, size int64, mediaType string) (ocispec.Descriptor, bool, error) {
	release, err := s.guard(flock.Shared)
	if err != nil {
		return ocispec.Descriptor{}, false, err
	}
	defer release()
	path, err := s.blobPath(d)
	if err != nil {
		return ocispec.Descriptor{}, false, err
	}
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return ocispec.Descriptor{}, false, nil
	}
	if err == nil {
		err = s.touchBlob(d)
	}
	if err != nil {
		return ocispec.Descriptor{}, false, s.Diagnose(fmt.Errorf("looking for artifact %s: %w", d, err))
	}
	if size >= 0 && fi.Size() != size {
		return ocispec.Descriptor{}, false, fault.New(fault.Input, fmt.Errorf("storing an input: %s has %d bytes, expected %d", d, fi.Size(), size))
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: fi.Size()}, true, nil
}

// limitWriter ends a download that is larger than it should be, if left is not
// negative.
type limitWriter struct {
	w    *writer
	size int64
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if l.size >= 0 && l.w.size+int64(len(p)) > l.size {
		return 0, fault.New(fault.Input, fmt.Errorf("storing an input: it has more than the expected %d bytes", l.size))
	}
	return l.w.Write(p)
}
