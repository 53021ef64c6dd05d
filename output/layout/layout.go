// Package layout reads container images where they lie: an OCI image layout in
// a folder or in an archive, or the archive that `docker save` wrote before it
// knew of layouts. Nothing is unpacked.
//
// Layouts are foreign bytes: the JSON in them is bounded, and a name leads to
// no file outside of the layout.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output/members"
)

const (
	// IndexName is the file that lists the images of an OCI layout.
	IndexName = "index.json"
	// SaveName is the file that lists those of what `docker save` writes.
	SaveName = "manifest.json"

	maxJSON = 4 << 20 // bytes of a manifest or a configuration
)

// Layout is where the files of container images lie. They can be read until it
// is closed, also several at once.
type Layout struct {
	open  func(name string) (io.ReaderAt, int64, error)
	close func() error
}

// Archive returns the layout in an archive of which list is the index. Closing
// it does not close r. When r is a disk, so are its files: holes are known.
func Archive(r io.ReaderAt, list []members.Member) *Layout {
	open := func(name string) (io.ReaderAt, int64, error) {
		i := slices.IndexFunc(list, func(m members.Member) bool { return m.Name == name })
		if i < 0 {
			return nil, 0, fs.ErrNotExist
		}
		m := list[i]
		return m.In(r), m.Size, nil
	}
	return &Layout{open: open, close: func() error { return nil }}
}

// Folder returns the layout in a folder.
func Folder(path string) (*Layout, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root}
	return &Layout{open: f.open, close: f.close}, nil
}

// folder holds the files open that were asked for.
type folder struct {
	root *os.Root
	mu   sync.Mutex
	held []io.Closer
}

// open opens a regular file: a pipe would make a reader wait.
func (f *folder) open(name string) (io.ReaderAt, int64, error) {
	info, err := f.root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return nil, 0, err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	d, err := disk.NewFile(file)
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = append(f.held, d)
	return d, d.Size(), nil
}

func (f *folder) close() error {
	errs := []error{f.root.Close()}
	for _, c := range f.held {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Open returns the content of a file and its size, in bytes. A file that is
// not there is an [fs.ErrNotExist].
func (l *Layout) Open(name string) (io.ReaderAt, int64, error) { return l.open(name) }

// Close gives back what the layout holds open.
func (l *Layout) Close() error { return l.close() }

// Decode reads a small file of JSON.
func (l *Layout) Decode(name string, v any) error {
	r, n, err := l.open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing", name)
	case err != nil:
		return fmt.Errorf("opening %s: %w", name, err)
	case n > maxJSON:
		return fmt.Errorf("%s has %d bytes, more than %d", name, n, maxJSON)
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, n), p); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if err := json.Unmarshal(p, v); err != nil {
		return fmt.Errorf("parsing %s: %w", name, err)
	}
	return nil
}

// Blob returns the name of a blob (OCI image layout, "Blobs").
func Blob(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("the digest %q: %w", d, err)
	}
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded(), nil
}
