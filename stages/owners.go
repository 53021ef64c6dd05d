package stages

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ownership are the owners of the files in a stack of layers that do not
// belong to root, by path. An unpacked tree cannot hold them: unpacking needs
// no root.
type ownership map[string]owner

type owner struct{ uid, gid int }

// openStack unpacks the layers of the root, and tells who owns what in it.
func openStack(ctx context.Context, w *builder.Work) (tree string, owners ownership, err error) {
	stack := layers(w, "layer")
	if tree, err = w.Store.Tree(ctx, stack...); err != nil {
		return "", nil, err
	}
	owners, err = readOwners(ctx, w.Store, stack)
	return tree, owners, err
}

// maxEntries bounds the entries of a layer.
const maxEntries = 4 << 20

// readOwners reads the headers of the layers, lowest first.
func readOwners(ctx context.Context, s builder.Store, stack []ocispec.Descriptor) (ownership, error) {
	all := ownership{}
	for _, desc := range stack {
		if err := all.read(ctx, s, desc); err != nil {
			return nil, fmt.Errorf("reading owners of layer %s: %w", desc.Digest, err)
		}
	}
	return all, nil
}

func (all ownership) read(ctx context.Context, s builder.Store, desc ocispec.Descriptor) error {
	b, err := s.Open(ctx, desc)
	if err != nil {
		return err
	}
	defer b.Close()
	r, closeReader, err := uncompressed(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		return err
	}
	defer closeReader()
	t := tar.NewReader(r)
	for range maxEntries {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)
		delete(all, name)
		if h.Uid != 0 || h.Gid != 0 {
			all[name] = owner{h.Uid, h.Gid}
		}
	}
	return fmt.Errorf("more than %d entries", maxEntries)
}

// uncompressed looks at the magic bytes, for media types tell lies.
func uncompressed(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 1<<20)
	magic, _ := b.Peek(4)
	switch {
	case len(magic) == 4 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { z.Close() }, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b)
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// run runs a file system maker on a tree so that it sees root as the owner of
// every file, but for those that belong to somebody else. fakeroot shows it
// owners that an ordinary user cannot give.
func (all ownership) run(ctx context.Context, w *builder.Work, tree, name string, args ...string) error {
	state := filepath.Join(w.Dir, "owners")
	f, err := os.Create(state)
	if err != nil {
		return err
	}
	defer f.Close()
	for p, o := range all {
		var st syscall.Stat_t
		if err := syscall.Lstat(filepath.Join(tree, p), &st); err != nil {
			continue // removed by a higher layer
		}
		// The format is that of fakeroot's save file.
		fmt.Fprintf(f, "dev=%x,ino=%d,mode=%o,uid=%d,gid=%d,nlink=%d,rdev=0\n", st.Dev, st.Ino, st.Mode, o.uid, o.gid, st.Nlink)
	}
	if err := f.Close(); err != nil {
		return err
	}
	if len(all) == 0 && strings.HasPrefix(name, "mkfs.erofs") {
		return runTool(ctx, w, nil, name, append([]string{"--all-root"}, args...)...)
	}
	return runTool(ctx, w, nil, "fakeroot", append([]string{"-i", state, "--", name}, args...)...)
}
