package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
	"github.com/imgbuild/imgbuild/flock"
)

// A tree is a folder trees/<id> with the files below rootfs and the list of
// its layers in layers.json. The folder's own modification time is when it was
// last used.
const (
	rootName   = "rootfs"
	layersName = "layers.json"
)

// layer is what identifies a layer of a tree.
type layer struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
}

// treeID is the digest of the list of layers.
func treeID(layers []ocispec.Descriptor) (string, error) {
	b, err := json.Marshal(layersOf(layers))
	if err != nil {
		return "", err
	}
	return digest.FromBytes(b).Encoded(), nil
}

func layersOf(descs []ocispec.Descriptor) []layer {
	list := make([]layer, 0, len(descs))
	for _, d := range descs {
		list = append(list, layer{d.MediaType, d.Digest})
	}
	return list
}

// Tree returns a folder that holds the layers, unpacked one over the other. It
// is made once and shared by hard links with the trees it is made from: it
// must not be changed. See package unpack for what is kept of a layer.
func (s *Store) Tree(ctx context.Context, layers ...ocispec.Descriptor) (string, error) {
	return s.tree(ctx, layers, wantsBase(layers))
}

// wantsBase reports whether the tree below the topmost layer is worth keeping
// too. The top is what changes most often: with another one, all the rest is
// found unpacked. Packages need no base, for each is found by itself.
func wantsBase(layers []ocispec.Descriptor) bool {
	n := len(layers)
	return n > 2 && layers[n-1].MediaType != unpack.Deb && layers[n-2].MediaType != unpack.Deb
}

// tree is Tree; with base it makes the tree below the topmost layer first.
func (s *Store) tree(ctx context.Context, layers []ocispec.Descriptor, base bool) (string, error) {
	id, err := treeID(layers)
	if err != nil {
		return "", fmt.Errorf("unpacking: %w", err)
	}
	if dir, err := s.useTree(id); dir != "" || err != nil {
		return dir, err
	}
	unlock, err := s.Lock(ctx, "tree "+id, nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, err := s.useTree(id); dir != "" || err != nil {
		return dir, err
	}
	if base {
		if _, err := s.tree(ctx, layers[:len(layers)-1], false); err != nil {
			return "", err
		}
	}
	if err := s.makeTree(ctx, id, layers); err != nil {
		return "", s.Diagnose(fmt.Errorf("unpacking: %w", err))
	}
	return s.path("trees", id, rootName), nil
}

// useTree returns the folder of a tree that exists, and marks it as used.
func (s *Store) useTree(id string) (string, error) {
	release, err := s.guard(flock.Shared)
	if err != nil {
		return "", err
	}
	defer release()
	now := time.Now()
	err = os.Chtimes(s.path("trees", id), now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", s.Diagnose(fmt.Errorf("marking a tree as used: %w", err))
	}
	return s.path("trees", id, rootName), nil
}

// makeTree unpacks into the session's folder and gives the result its name.
func (s *Store) makeTree(ctx context.Context, id string, layers []ocispec.Descriptor) error {
	tmp, remove, err := s.Scratch("tree")
	if err != nil {
		return err
	}
	defer remove()
	root := filepath.Join(tmp, rootName)
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	w, err := unpack.New(root, unpack.Limits{})
	if err != nil {
		return err
	}
	defer w.Close()
	if err := s.fill(ctx, w, layers); err != nil {
		return err
	}
	if err := w.Finish(); err != nil {
		return err
	}
	if err := s.writeJSON(filepath.Join(tmp, layersName), layersOf(layers)); err != nil {
		return err
	}
	// Files of a tree are not synced one by one. The file system is, once,
	// so that a power failure does not leave a named tree with empty files.
	if err := syncFS(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, s.path("trees", id))
}

// fill puts the layers into w. What was unpacked before is linked: the longest
// list that this one begins with, then packages that stand alone.
func (s *Store) fill(ctx context.Context, w *unpack.Writer, layers []ocispec.Descriptor) error {
	rest := layers
	for n := len(layers) - 1; n > 0; n-- {
		dir, err := s.unpacked(layers[:n])
		if err != nil {
			return err
		}
		if dir != "" {
			if err := w.Link(ctx, dir); err != nil {
				return err
			}
			rest = layers[n:]
			break
		}
	}
	for _, desc := range rest {
		// A package has no whiteouts, so its tree says all about it.
		if desc.MediaType == unpack.Deb {
			dir, err := s.unpacked([]ocispec.Descriptor{desc})
			if err != nil {
				return err
			}
			if dir != "" && len(layers) > 1 {
				if err := w.Link(ctx, dir); err != nil {
					return fmt.Errorf("layer %s: %w", desc.Digest, err)
				}
				continue
			}
		}
		if err := s.unpackLayer(ctx, w, desc); err != nil {
			return fmt.Errorf("layer %s: %w", desc.Digest, err)
		}
	}
	return nil
}

// unpacked returns the folder of the tree of exactly these layers, or "".
func (s *Store) unpacked(layers []ocispec.Descriptor) (string, error) {
	id, err := treeID(layers)
	if err != nil {
		return "", err
	}
	return s.useTree(id)
}

func (s *Store) unpackLayer(ctx context.Context, w *unpack.Writer, desc ocispec.Descriptor) error {
	b, err := s.Open(ctx, desc)
	if err != nil {
		return err
	}
	defer b.Close()
	return w.Layer(ctx, desc.MediaType, io.NewSectionReader(b, 0, b.Size()))
}

func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("syncing: %w", err)
	}
	return nil
}
