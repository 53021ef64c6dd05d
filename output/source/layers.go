package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
)

const (
	// diskFolder is where the layer of a containerDisk has its disk (KubeVirt
	// user guide, "Disks and Volumes", containerDisk).
	diskFolder = "disk/"

	maxManifests = 256
	maxLayers    = 1024
	maxNested    = 4 // indexes within indexes
)

// openLayout looks for disks in the layers of container images.
func (s *Source) openLayout(ctx context.Context, l *layout.Layout, format string) error {
	s.hold(l)
	s.Format, s.Layout = format, l
	layers, err := listLayers(l)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range layers {
		if seen[name] {
			continue
		}
		seen[name] = true
		if err := s.openLayer(ctx, name); err != nil {
			return fmt.Errorf("reading the layer %s: %w", name, err)
		}
	}
	return nil
}

// listLayers returns the files of all layers of all images.
func listLayers(l *layout.Layout) ([]string, error) {
	if _, _, err := l.Open(layout.IndexName); errors.Is(err, fs.ErrNotExist) {
		return savedLayers(l)
	}
	var index ocispec.Index
	if err := l.Decode(layout.IndexName, &index); err != nil {
		return nil, err
	}
	w := &walk{Layout: l}
	err := w.add(index.Manifests, 0)
	return w.layers, err
}

// savedLayers are the files of all layers that `docker save` wrote.
func savedLayers(l *layout.Layout) ([]string, error) {
	var images []struct{ Layers []string }
	if err := l.Decode(layout.SaveName, &images); err != nil {
		return nil, err
	}
	var layers []string
	for _, im := range images {
		if layers = append(layers, im.Layers...); len(layers) > maxLayers {
			return nil, fmt.Errorf("there are more than %d layers", maxLayers)
		}
	}
	return layers, nil
}

// walk collects the layers of all images in an index.
type walk struct {
	*layout.Layout
	layers    []string
	manifests int
}

// add adds the layers of what an index lists.
func (w *walk) add(list []ocispec.Descriptor, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("its indexes nest deeper than %d", maxNested)
	}
	for _, d := range list {
		if w.manifests++; w.manifests > maxManifests {
			return fmt.Errorf("it holds more than %d manifests", maxManifests)
		}
		name, err := layout.Blob(d.Digest)
		if err != nil {
			return err
		}
		var m struct{ Layers, Manifests []ocispec.Descriptor } // of one or the other kind
		if err := w.Decode(name, &m); err != nil {
			return err
		}
		if err := w.add(m.Manifests, depth+1); err != nil {
			return err
		}
		for _, d := range m.Layers {
			if name, err = layout.Blob(d.Digest); err != nil {
				return err
			}
			w.layers = append(w.layers, name)
		}
		if len(w.layers) > maxLayers {
			return fmt.Errorf("there are more than %d layers", maxLayers)
		}
	}
	return nil
}

// openLayer adds the disks of a layer that begins with the folder of disks, as
// those of containerDisks do. A layer of files, which may be large, is not
// unpacked.
func (s *Source) openLayer(ctx context.Context, name string) error {
	r, n, err := s.Layout.Open(name)
	if errors.Is(err, fs.ErrNotExist) || n == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if ok, err := beginsWithDisk(ctx, r, n); !ok || err != nil {
		return err
	}
	if !members.Is(r) {
		plain, err := packed.Open(ctx, r, n, limit, nil)
		if err != nil {
			return err
		}
		s.hold(plain)
		r, n = plain, plain.Size()
	}
	list, err := members.Index(r, n)
	if err != nil {
		return err
	}
	for _, m := range list {
		if !strings.HasPrefix(m.Name, diskFolder) || m.Size == 0 {
			continue
		}
		if len(s.Disks) == maxDisks {
			return fmt.Errorf("it holds more than %d disks", maxDisks)
		}
		in := m.In(r)
		s.Disks = append(s.Disks, Disk{Name: m.Name, open: func() (disk.Reader, string, error) { return image.From(in, m.Size) }})
	}
	return nil
}

// beginsWithDisk reports whether the first file of a layer lies in the folder
// of disks. What is no archive has none.
func beginsWithDisk(ctx context.Context, r io.ReaderAt, n int64) (bool, error) {
	var in io.Reader = io.NewSectionReader(r, 0, n)
	if !members.Is(r) {
		head := make([]byte, min(n, sniffed))
		if got, err := r.ReadAt(head, 0); got < len(head) {
			return false, err
		}
		if packed.KindOf(head) == "" {
			return false, nil
		}
		plain, err := packed.Stream(ctx, r, n)
		if err != nil {
			return false, err
		}
		defer plain.Close()
		in = plain
	}
	const looked = 16 // members before the first file
	t := tar.NewReader(in)
	for range looked {
		h, err := t.Next()
		if err != nil {
			return false, ctx.Err()
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/") + "/"
		if !strings.HasPrefix(name, diskFolder) {
			return false, nil
		}
		if h.Typeflag == tar.TypeReg {
			return true, nil
		}
	}
	return false, nil
}
