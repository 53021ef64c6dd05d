package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
)

const (
	maxImages = 4096 // of a layout
	maxLayers = 1024 // of an image

	// maxUnpacked is the most that an archive may be unpacked into, in bytes.
	maxUnpacked = 1 << 40
)

// images are those of a layout, and their blobs.
type images struct {
	*layout.Layout
	path string
	held []io.Closer
	list []ocispec.Descriptor
	// made are documents that the layout itself does not hold, placed the names
	// of blobs that it holds under other names than those of their digests.
	made   map[digest.Digest][]byte
	placed map[digest.Digest]string
}

// split divides FOLDER:TAG or FILE:TAG. A path that is there as it is has no
// tag behind it.
func split(ref string) (path, tag string) {
	if _, err := os.Stat(ref); err != nil {
		if i := strings.LastIndexByte(ref, ':'); i > 0 {
			return ref[:i], ref[i+1:]
		}
	}
	return ref, ""
}

// openImages opens the folder or archive at path; nil when it is neither, or
// holds no images. The images of docker save are digested for that, which takes
// as long as reading them.
func openImages(ctx context.Context, path string) (*images, error) {
	l := &images{path: path, made: map[digest.Digest][]byte{}, placed: map[digest.Digest]string{}}
	if err := l.open(ctx); err != nil {
		// It may be a file of another kind.
		return nil, errors.Join(ctx.Err(), l.Close())
	}
	read := l.readIndex
	if !l.has(layout.IndexName) {
		read = l.readSaved
		if !l.has(layout.SaveName) {
			return nil, l.Close()
		}
	}
	if err := read(ctx); err != nil {
		if ctx.Err() == nil {
			err = fault.New(fault.Input, fmt.Errorf("opening the image %s: %w", path, err), "it is damaged or not complete: make it again")
		}
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// open opens the folder or the archive.
func (l *images) open(ctx context.Context) error {
	info, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		l.Layout, err = layout.Folder(l.path)
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", l.path)
	}
	f, err := disk.OpenFile(l.path)
	if err != nil {
		return err
	}
	l.held = append(l.held, f)
	if !members.Is(f) {
		if f, err = l.unpack(ctx, f); err != nil {
			return err
		}
	}
	list, err := members.Linked(f, f.Size())
	if err != nil {
		return err
	}
	l.Layout = layout.Archive(f, list)
	return nil
}

// unpack unpacks an archive that is compressed as a whole. What is compressed
// and no archive is left alone.
func (l *images) unpack(ctx context.Context, f *disk.File) (*disk.File, error) {
	stream, err := packed.Stream(ctx, f, f.Size())
	if err != nil {
		return nil, err
	}
	first := make([]byte, 512)
	n, err := io.ReadFull(stream, first)
	stream.Close()
	if !members.Is(bytes.NewReader(first[:n])) {
		return nil, errors.Join(fmt.Errorf("%s is no archive", l.path), err)
	}
	plain, err := packed.Open(ctx, f, f.Size(), maxUnpacked, nil)
	if err == nil {
		l.held = append(l.held, plain)
	}
	return plain, err
}

// Close closes the folder or the archive.
func (l *images) Close() error {
	var errs []error
	if l.Layout != nil {
		errs = append(errs, l.Layout.Close())
	}
	for _, c := range l.held {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// has reports whether there is a file of that name.
func (l *images) has(name string) bool {
	_, _, err := l.Open(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// readIndex reads the list of an OCI layout.
func (l *images) readIndex(context.Context) error {
	var index ocispec.Index
	if err := l.Decode(layout.IndexName, &index); err != nil {
		return err
	}
	if n := len(index.Manifests); n == 0 || n > maxImages {
		return fmt.Errorf("it lists %d images", n)
	}
	l.list = index.Manifests
	return nil
}

// find returns the image with a tag; without one, the only image.
func (l *images) find(tag string) (ocispec.Descriptor, error) {
	var tags []string
	only := map[digest.Digest]bool{}
	for _, m := range l.list {
		name := m.Annotations[ocispec.AnnotationRefName]
		if tag != "" && name == tag {
			return m, nil
		}
		tags = append(tags, name)
		only[m.Digest] = true
	}
	hint := "it has " + strings.Join(tags, ", ")
	switch {
	case tag != "":
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("%s has no tag %s", l.path, tag), hint)
	case len(only) > 1:
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("%s holds %d images", l.path, len(only)),
			"name one as "+l.path+":TAG", hint)
	}
	return l.list[0], nil
}

// ReaderAt implements content.Provider.
func (l *images) ReaderAt(_ context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	if p, ok := l.made[desc.Digest]; ok {
		return fromBytes(p), nil
	}
	name, ok := l.placed[desc.Digest]
	if !ok {
		var err error
		if name, err = layout.Blob(desc.Digest); err != nil {
			return nil, err
		}
	}
	r, size, err := l.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return part{io.NewSectionReader(r, 0, size)}, nil
}

// part reads a part of what somebody else closes.
type part struct{ *io.SectionReader }

// Close does nothing.
func (part) Close() error { return nil }
