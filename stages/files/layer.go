package files

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// Layer writes the entries as an OCI layer, sorted by path, with the given
// time and without the names of owners. Two entries of one path are an error;
// folders above an entry are not added.
func Layer(ctx context.Context, w io.Writer, entries []Entry, epoch time.Time) error {
	sorted := slices.Clone(entries)
	slices.SortFunc(sorted, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	t := tar.NewWriter(w)
	for i, e := range sorted {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Path != path.Clean(e.Path) || !path.IsAbs(e.Path) {
			return fmt.Errorf("%q is not an absolute and clean path", e.Path)
		}
		if i > 0 && sorted[i-1].Path == e.Path {
			return fmt.Errorf("%s is there twice", e.Path)
		}
		if err := writeEntry(t, e, epoch); err != nil {
			return fmt.Errorf("packing %s: %w", e.Path, err)
		}
	}
	return t.Close()
}

func writeEntry(t *tar.Writer, e Entry, epoch time.Time) error {
	h := &tar.Header{
		Name:    strings.TrimPrefix(e.Path, "/"),
		Mode:    e.Mode & 0o7777,
		Uid:     e.UID,
		Gid:     e.GID,
		ModTime: epoch,
	}
	if h.Name == "" {
		h.Name = "./"
	}
	switch {
	case e.Dir:
		h.Typeflag = tar.TypeDir
		h.Name = strings.TrimSuffix(h.Name, "/") + "/"
		return t.WriteHeader(h)
	case e.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.Link, 0o777
		return t.WriteHeader(h)
	}
	r, size, err := e.content().Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h.Typeflag, h.Size = tar.TypeReg, size
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(t, io.LimitReader(r, size))
	if err == nil && n != size {
		err = fmt.Errorf("it shrank from %d to %d bytes while it was read", size, n)
	}
	return err
}
