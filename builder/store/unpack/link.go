package unpack

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Link lays a finished tree over what is there, by hard links: the files are
// shared, the folders are not. Folders are merged as those of a Debian package
// are.
func (w *Writer) Link(ctx context.Context, dir string) error {
	w.begin(true)
	return filepath.WalkDir(dir, func(src string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, src)
		if err != nil {
			return err
		}
		if err := w.linkEntry(src, name, d); err != nil {
			return fmt.Errorf("linking %q: %w", name, err)
		}
		return nil
	})
}

func (w *Writer) linkEntry(src, name string, d fs.DirEntry) error {
	if err := w.count(name, 0); err != nil {
		return err
	}
	if d.IsDir() {
		fi, err := d.Info()
		if err != nil {
			return err
		}
		return w.placeDir(name, fi.Mode(), fi.ModTime())
	}
	p, err := w.place(name, d.Type()&fs.ModeSymlink != 0)
	if err != nil || p == "" {
		return err
	}
	parent, err := w.root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	defer parent.Close()
	// Without AT_SYMLINK_FOLLOW a symbolic link is linked as such.
	err = unix.Linkat(unix.AT_FDCWD, src, int(parent.Fd()), path.Base(p), 0)
	if err != nil {
		return &os.LinkError{Op: "link", Old: src, New: p, Err: err}
	}
	return nil
}
