package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// maxDepth bounds a chain of images, each on top of the next.
const maxDepth = 64

// maxFiles bounds the files of one image.
const maxFiles = 4096

// files are those that an image holds open.
type files struct {
	list []io.Closer
}

// Close closes all of them.
func (f *files) Close() error {
	var errs []error
	for _, c := range f.list {
		errs = append(errs, c.Close())
	}
	f.list = nil
	return errors.Join(errs...)
}

// folder opens the files that an image names. An image may come from anybody,
// and what it names ends up in what is made of it: so names lead to files in
// the folder of the image or below it, and to nothing else of this machine.
type folder struct {
	path  string // of the folder
	inner string // the folder of the image, below path
	depth int
	*files
}

// open is a disk.Opener.
func (f *folder) open(name, format string) (disk.Reader, error) {
	local, err := f.local(name)
	if err != nil {
		return nil, err
	}
	if f.depth >= maxDepth || len(f.list) >= maxFiles {
		return nil, fmt.Errorf("%s: there are more files than an image has", name)
	}
	d, err := f.openFile(local)
	if err != nil {
		return nil, fault.New(fault.Input, err, "put the file into the folder of the image")
	}
	if format == "vpc" { // QEMU's name for it
		format = "vhd"
	}
	next := &folder{path: f.path, inner: filepath.Dir(local), depth: f.depth + 1, files: f.files}
	r, _, err := from(d, d.Size(), format, next.open)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// openFile opens a regular file of the folder. One that is not, such as a
// pipe, would make a reader wait.
func (f *folder) openFile(local string) (*disk.File, error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(local)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", local)
	}
	if err != nil {
		return nil, err
	}
	file, err := root.Open(local)
	if err != nil {
		return nil, err
	}
	d, err := disk.NewFile(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.list = append(f.list, d)
	return d, nil
}

// local turns a name in an image into a path below the folder.
func (f *folder) local(name string) (string, error) {
	local := filepath.Join(f.inner, filepath.FromSlash(name))
	if filepath.IsAbs(name) {
		base, err := filepath.Abs(f.path)
		if err != nil {
			return "", err
		}
		if local, err = filepath.Rel(base, name); err != nil {
			return "", err
		}
	}
	if !filepath.IsLocal(local) || strings.ContainsRune(name, 0) {
		return "", fault.New(fault.Input, fmt.Errorf("it names the file %q, which does not lie in its folder", name),
			"put all files of the image into one folder, or make one of them: `qemu-img convert -O qcow2 IN OUT`")
	}
	return local, nil
}
