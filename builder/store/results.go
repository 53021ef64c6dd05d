package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/google/renameio/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/flock"
)

// Meta tells people what a result is. It is not part of any key.
type Meta struct {
	Stage string `json:"stage"` // its name in the plan that made it
	Title string `json:"title,omitempty"`
	Kind  string `json:"kind"`
	// Content is the content key, under which the same result is recorded
	// too.
	Content digest.Digest `json:"content,omitempty"`
}

// record is the file of a result.
type record struct {
	Key     digest.Digest   `json:"key"`
	Meta    Meta            `json:"meta"`
	Outputs builder.Outputs `json:"outputs"`
}

// maxRecord bounds the size of a record, and of the manifests that an output
// may be, in bytes.
const maxRecord = 8 << 20

// Lookup returns the outputs that are recorded under a key, and true when all
// their bytes are in the store; they are then marked as used. A record whose
// bytes are gone gives its outputs and false.
func (s *Store) Lookup(ctx context.Context, key digest.Digest) (builder.Outputs, bool, error) {
	if err := key.Validate(); err != nil {
		return nil, false, fmt.Errorf("looking up a result: key %q: %w", key, err)
	}
	release, err := s.guard(flock.Shared)
	if err != nil {
		return nil, false, err
	}
	defer release()
	path := s.path("results", key.Encoded())
	rec, err := s.readRecord(path)
	if rec == nil || err != nil {
		return nil, false, err
	}
	var blobs []digest.Digest
	for _, desc := range rec.Outputs {
		used, err := s.walk(ctx, desc, false)
		if errors.Is(err, fs.ErrNotExist) {
			return rec.Outputs, false, nil
		}
		if err != nil {
			return nil, false, s.Diagnose(fmt.Errorf("looking up the result %s: %w", key, err))
		}
		blobs = append(blobs, used...)
	}
	now := time.Now()
	errs := []error{os.Chtimes(path, now, now)}
	for _, d := range blobs {
		errs = append(errs, s.touchBlob(d))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, false, s.Diagnose(fmt.Errorf("marking the result %s as used: %w", key, err))
	}
	return rec.Outputs, true, nil
}

// readRecord returns nil when there is none. One that cannot be understood
// counts as none: it may be of another version, or torn by a power failure.
func (s *Store) readRecord(path string) (*record, error) {
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.Diagnose(fmt.Errorf("reading a result: %w", err))
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil || rec.Key.Validate() != nil || rec.Key.Encoded() != filepath.Base(path) {
		s.log.Warn("ignoring a damaged result", "file", path)
		return nil, nil
	}
	return &rec, nil
}

func readFile(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxRecord {
		return nil, fmt.Errorf("%s: its %d bytes are more than %d", path, fi.Size(), maxRecord)
	}
	return os.ReadFile(path)
}

// Record keeps the outputs of a stage under a key, replacing what was there.
// All their bytes must be in the store.
func (s *Store) Record(ctx context.Context, key digest.Digest, outputs builder.Outputs, meta Meta) error {
	if err := key.Validate(); err != nil {
		return fmt.Errorf("recording the result of %s: key %q: %w", meta.Stage, key, err)
	}
	release, err := s.guard(flock.Shared)
	if err != nil {
		return err
	}
	defer release()
	for name, desc := range outputs {
		if _, err := s.walk(ctx, desc, false); err != nil {
			return s.Diagnose(fmt.Errorf("recording the result of %s: output %s: %w", meta.Stage, name, err))
		}
	}
	return s.writeJSON(s.path("results", key.Encoded()), record{key, meta, outputs})
}

// writeJSON writes a file as a whole or not at all.
func (s *Store) writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	err = renameio.WriteFile(path, append(b, '\n'), 0o644, renameio.WithTempDir(s.session.dir))
	if err != nil {
		return s.Diagnose(fmt.Errorf("writing %s: %w", path, err))
	}
	return nil
}

// walk returns the artifacts that desc stands for: itself and, for a manifest,
// its config and layers. What is missing is an error that wraps
// fs.ErrNotExist. An index is followed only when deep is set, and what it
// lists may be missing: images are fetched for one platform of many.
func (s *Store) walk(ctx context.Context, desc ocispec.Descriptor, deep bool) ([]digest.Digest, error) {
	if err := s.stat(desc); err != nil {
		return nil, err
	}
	all := []digest.Digest{desc.Digest}
	index := images.IsIndexType(desc.MediaType)
	if !images.IsManifestType(desc.MediaType) && !(index && deep) {
		return all, nil
	}
	if desc.Size > maxRecord {
		return nil, fmt.Errorf("%s: its %d bytes are more than %d", desc.Digest, desc.Size, maxRecord)
	}
	children, err := images.Children(ctx, s.content, desc)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", desc.Digest, err)
	}
	for _, child := range children {
		below := []digest.Digest{child.Digest}
		// Only manifests of an index are followed, which bounds the depth.
		if index && images.IsManifestType(child.MediaType) {
			below, err = s.walk(ctx, child, deep)
		} else {
			err = s.stat(child)
		}
		if index && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// stat checks that an artifact is there and has its size. If not, the error
// wraps fs.ErrNotExist.
func (s *Store) stat(desc ocispec.Descriptor) error {
	path, err := s.blobPath(desc.Digest)
	if err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.Size() != desc.Size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", desc.Digest, fi.Size(), desc.Size, fs.ErrNotExist)
	}
	return nil
}

// History returns what was remembered under a name, decoded into v; false when
// there is nothing.
func (s *Store) History(name string, v any) (bool, error) {
	b, err := readFile(s.path("history", digest.FromString(name).Encoded()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, s.Diagnose(fmt.Errorf("reading the history of %s: %w", name, err))
	}
	return json.Unmarshal(b, v) == nil, nil
}

// Remember keeps a value under a name, replacing what was there.
func (s *Store) Remember(name string, v any) error {
	return s.writeJSON(s.path("history", digest.FromString(name).Encoded()), v)
}
