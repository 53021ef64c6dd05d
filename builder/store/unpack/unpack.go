// Package unpack lays the layers of a root filesystem one over the other into
// a folder, as an ordinary user and without leaving that folder.
//
// # Layers
//
// A layer is a tar of the OCI image specification or of Docker, compressed by
// gzip, zstd or not at all, or a Debian package. Whiteouts of OCI layers remove
// what lower layers brought. Debian packages have none; where a package has a
// folder and the tree has a symbolic link to a folder, the link stays and is
// followed, as dpkg does, so that packages of either kind of /bin go together.
//
// # What is kept
//
// Contents, modes, modification times to the second, symbolic and hard links.
// Not kept are owners, extended attributes, device nodes, named pipes, and the
// times of a folder that no layer describes: it gets the Unix epoch.
//
// # Hostile layers
//
// Every operation goes through an os.Root, which cannot leave the folder.
// Symbolic links on the way are followed as if the folder were "/". Names with
// ".." are refused; the number of entries and of bytes is bounded.
package unpack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what is unpacked. Zero values stand for the defaults: 64 GiB and
// four million entries.
type Limits struct {
	Bytes   int64
	Entries int64
}

// Writer is a folder that is being filled. It is used by one goroutine at a
// time.
type Writer struct {
	root *os.Root
	dir  string
	left Limits // what may still be written
	// dirs holds the final mode and time of every folder, by its path without
	// links. They are set last: a folder may be read-only, and filling it
	// changes its time.
	dirs map[string]dirInfo
	// resolved remembers folders by the path that a layer calls them by.
	resolved map[string]string
	// fresh is what the current layer brought, and the folders on the way
	// there; whiteouts spare it.
	fresh map[string]bool
	// merge says that the current layer is merged as dpkg would.
	merge bool
}

type dirInfo struct {
	mode fs.FileMode
	time time.Time
}

// epoch is the time of folders that no layer describes.
var epoch = time.Unix(0, 0)

// New returns a Writer for an empty folder that exists.
func New(dir string, limits Limits) (*Writer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if limits.Bytes <= 0 {
		limits.Bytes = 64 << 30
	}
	if limits.Entries <= 0 {
		limits.Entries = 4 << 20
	}
	return &Writer{
		root:     root,
		dir:      dir,
		left:     limits,
		dirs:     map[string]dirInfo{".": {0o755, epoch}},
		resolved: make(map[string]string),
	}, nil
}

// Close gives up what was opened. It does not finish the folder.
func (w *Writer) Close() error { return w.root.Close() }

// Finish gives folders their modes and times. Nothing may be added afterwards.
func (w *Writer) Finish() error {
	paths := slices.Sorted(maps.Keys(w.dirs))
	// What is below sorts behind and comes first: above, permission may be
	// taken away. "." is above all.
	slices.Reverse(paths)
	paths = append(slices.DeleteFunc(paths, func(p string) bool { return p == "." }), ".")
	for _, p := range paths {
		info := w.dirs[p]
		err := errors.Join(w.root.Chtimes(p, info.time, info.time), w.root.Chmod(p, info.mode))
		if err != nil {
			return fmt.Errorf("finishing the folder %s: %w", p, err)
		}
	}
	return nil
}

// begin starts a layer.
func (w *Writer) begin(merge bool) {
	w.merge = merge
	w.fresh = make(map[string]bool)
}

// count takes an entry and its bytes off the limits.
func (w *Writer) count(name string, size int64) error {
	w.left.Entries--
	if w.left.Entries < 0 {
		return fmt.Errorf("%s: there are too many entries", name)
	}
	if size < 0 || size > w.left.Bytes {
		return fmt.Errorf("%s: with its %d bytes the layers are too large", name, size)
	}
	w.left.Bytes -= size
	return nil
}

// mark notes that the current layer brought p.
func (w *Writer) mark(p string) {
	for ; !w.fresh[p]; p = path.Dir(p) {
		w.fresh[p] = true
	}
}

// setTimes sets the times of anything but a folder; links are not followed.
func (w *Writer) setTimes(p string, t time.Time) error {
	parent, err := w.root.Open(path.Dir(p))
	if err != nil {
		return err
	}
	defer parent.Close()
	ts := unix.NsecToTimespec(t.UnixNano())
	return unix.UtimesNanoAt(int(parent.Fd()), path.Base(p), []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// wholeSecond bounds a time to what every file system can hold: from 1970 to
// 2106, in whole seconds.
func wholeSecond(t time.Time) time.Time {
	return time.Unix(min(max(t.Unix(), 0), 1<<32-1), 0)
}
