package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// maxLinks is how many symbolic links a path may lead through, as in Linux
// (path_resolution(7)).
const maxLinks = 40

// clean turns a name in a layer into a path relative to the root, "." for the
// root itself.
func clean(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%q: the name holds a zero byte", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("%q: the name leads out of the layer", name)
		}
	}
	p := path.Clean("/" + name)[1:]
	if p == "" {
		return ".", nil
	}
	return p, nil
}

// folder returns the path without links of a folder, by the path that a layer
// calls it by. What is missing is made.
func (w *Writer) folder(p string) (string, error) {
	if p == "." {
		return p, nil
	}
	if real, ok := w.resolved[p]; ok {
		return real, nil
	}
	links := 0
	real, err := w.follow(p, &links, true)
	if err != nil {
		return "", err
	}
	w.resolved[p] = real
	return real, nil
}

// errMissing says that a folder does not exist and was not to be made.
var errMissing = errors.New("there is no such folder")

// follow resolves all of p, below the root, to a folder.
func (w *Writer) follow(p string, links *int, create bool) (string, error) {
	real := "."
	for rest := p; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			real = path.Dir(real) // the root is above itself
			continue
		}
		next := path.Join(real, part)
		fi, err := w.root.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if !create {
				return "", fmt.Errorf("%s: %w", p, errMissing)
			}
			if err := w.makeDir(next, dirInfo{0o755, epoch}); err != nil {
				return "", err
			}
			real = next
		case err != nil:
			return "", err
		case fi.IsDir():
			real = next
		case fi.Mode()&fs.ModeSymlink != 0:
			if *links++; *links > maxLinks {
				return "", fmt.Errorf("%s: there are too many symbolic links on the way", p)
			}
			target, err := w.root.Readlink(next)
			if err != nil {
				return "", err
			}
			if path.IsAbs(target) {
				real = "."
			}
			rest = target + "/" + rest
		default:
			return "", fmt.Errorf("%s: %s is not a folder", p, next)
		}
	}
	return real, nil
}

// isFolderLink reports whether p is a symbolic link that leads to a folder.
func (w *Writer) isFolderLink(p string, fi fs.FileInfo) bool {
	if fi.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	links := 0
	_, err := w.follow(p, &links, false)
	return err == nil
}

// locate returns the path without links at which an entry is placed: links are
// followed to its folder, not at its own name.
func (w *Writer) locate(name string) (string, error) {
	p, err := clean(name)
	if err != nil || p == "." {
		return p, err
	}
	dir, err := w.folder(path.Dir(p))
	if err != nil {
		return "", err
	}
	return path.Join(dir, path.Base(p)), nil
}
