package unpack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// makeDir makes a folder that can be filled; its mode and time come at the end.
func (w *Writer) makeDir(p string, info dirInfo) error {
	if err := w.root.Mkdir(p, 0o700); err != nil {
		return err
	}
	w.dirs[p] = info
	return nil
}

// placeDir adds a folder, or describes anew one that is there.
func (w *Writer) placeDir(name string, mode fs.FileMode, t time.Time) error {
	p, err := w.locate(name)
	if err != nil {
		return err
	}
	info := dirInfo{mode, wholeSecond(t)}
	fi, err := w.lstat(p)
	switch {
	case err != nil:
		return err
	case fi == nil:
	case fi.IsDir():
		w.dirs[p] = info
		w.mark(p)
		return nil
	case w.merge && w.isFolderLink(p, fi):
		return nil
	default:
		if err := w.remove(p); err != nil {
			return err
		}
	}
	w.mark(p)
	return w.makeDir(p, info)
}

// place makes room for what is not a folder and returns its path. It returns
// "" when the entry is to be left out.
func (w *Writer) place(name string, link bool) (string, error) {
	p, err := w.locate(name)
	if err != nil {
		return "", err
	}
	if p == "." {
		return "", fmt.Errorf("%q: the root is not a folder", name)
	}
	fi, err := w.lstat(p)
	if err != nil {
		return "", err
	}
	if fi != nil && fi.IsDir() && w.merge {
		if link {
			return "", nil // dpkg never replaces a folder by a link
		}
		return "", fmt.Errorf("%q: a file would replace a folder of another package", name)
	}
	if fi != nil {
		if err := w.remove(p); err != nil {
			return "", err
		}
	}
	w.mark(p)
	return p, nil
}

// placeFile adds a regular file.
func (w *Writer) placeFile(name string, mode fs.FileMode, t time.Time, r io.Reader) error {
	p, err := w.place(name, false)
	if err != nil {
		return err
	}
	f, err := w.root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return w.setTimes(p, wholeSecond(t))
}

// placeSymlink adds a symbolic link.
func (w *Writer) placeSymlink(name, target string, t time.Time) error {
	p, err := w.place(name, true)
	if err != nil || p == "" {
		return err
	}
	if err := w.root.Symlink(target, p); err != nil {
		return err
	}
	return w.setTimes(p, wholeSecond(t))
}

// placeHardlink adds another name for a file that is there.
func (w *Writer) placeHardlink(name, target string) error {
	old, err := w.locate(target)
	if err != nil {
		return err
	}
	p, err := w.locate(name)
	if err != nil || p == old {
		return err
	}
	// The target may be a symbolic link, which is linked as such.
	fi, err := w.lstat(old)
	if err != nil {
		return err
	}
	if fi == nil || fi.IsDir() {
		return fmt.Errorf("%q: it is a link to %q, which is not a file", name, target)
	}
	if p, err = w.place(name, false); err != nil {
		return err
	}
	return w.root.Link(old, p)
}

// lstat returns nil when there is nothing.
func (w *Writer) lstat(p string) (fs.FileInfo, error) {
	fi, err := w.root.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return fi, err
}

// remove takes away what is at p, and forgets what was known about it.
func (w *Writer) remove(p string) error {
	fi, err := w.lstat(p)
	if fi == nil || err != nil {
		return err
	}
	if !fi.IsDir() {
		if fi.Mode()&fs.ModeSymlink != 0 {
			clear(w.resolved)
		}
		return w.root.Remove(p)
	}
	if err := w.root.RemoveAll(p); err != nil {
		return err
	}
	clear(w.resolved)
	delete(w.dirs, p)
	for dir := range w.dirs {
		if strings.HasPrefix(dir, p+"/") {
			delete(w.dirs, dir)
		}
	}
	return nil
}

// The names of whiteouts
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts).
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// whiteout does what an entry asks for if it is a whiteout.
func (w *Writer) whiteout(name string) (bool, error) {
	base := path.Base(name)
	if !strings.HasPrefix(base, whiteoutPrefix) {
		return false, nil
	}
	p, err := w.locate(name)
	if err != nil {
		return true, err
	}
	hidden := base[len(whiteoutPrefix):]
	switch {
	case base == whiteoutOpaque:
		return true, w.removeLowerIn(path.Dir(p))
	case strings.HasPrefix(base, whiteoutMeta):
		return true, nil // of no meaning outside of AUFS
	case hidden == "" || hidden == "." || hidden == "..":
		return true, fmt.Errorf("%q: the whiteout names no file", name)
	}
	return true, w.removeLower(path.Join(path.Dir(p), hidden))
}

// removeLower removes what lower layers have at p; what the current layer
// brought stays.
func (w *Writer) removeLower(p string) error {
	if !w.fresh[p] {
		return w.remove(p)
	}
	fi, err := w.lstat(p)
	if err != nil || fi == nil || !fi.IsDir() {
		return err
	}
	return w.removeLowerIn(p)
}

func (w *Writer) removeLowerIn(dir string) error {
	f, err := w.root.Open(dir)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := w.removeLower(path.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
