package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

// The kinds of items.
const (
	kindResult  = "result"
	kindTree    = "tree"
	kindHistory = "history"
	kindFolder  = "folder"
)

// item is something that Prune may remove.
type item struct {
	kind  string
	path  string
	used  time.Time
	bytes int64           // disk space of the item itself
	blobs []digest.Digest // what it refers to
	rec   *record         // of a result
}

// blobInfo is an artifact in the store.
type blobInfo struct {
	used  time.Time
	bytes int64 // disk space
	refs  int   // number of results that refer to it
	gone  bool
}

// inventory is all that is in a store. bytes is the disk space of artifacts, trees
// and folders of others.
type inventory struct {
	items []*item // longest unused first
	blobs map[digest.Digest]*blobInfo
	bytes int64
	links map[uint64]uint64 // of files in several trees: how many links are left, by inode
}

// inventory reads the store. The guard is held.
func (s *Store) inventory(ctx context.Context) (*inventory, error) {
	inv := &inventory{blobs: make(map[digest.Digest]*blobInfo), links: make(map[uint64]uint64)}
	for _, read := range []func(context.Context, *inventory) error{s.readBlobs, s.readResults, s.readTrees, s.readHistory, s.readFolders} {
		if err := read(ctx, inv); err != nil {
			return nil, err
		}
	}
	byUse(inv.items)
	return inv, nil
}

func (s *Store) readBlobs(_ context.Context, inv *inventory) error {
	root := s.path("content", "blobs")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		dgst := digest.NewDigestFromEncoded(digest.Algorithm(filepath.Base(filepath.Dir(path))), d.Name())
		if dgst.Validate() != nil {
			return nil
		}
		b := &blobInfo{used: fi.ModTime(), bytes: diskBytes(fi)}
		inv.blobs[dgst] = b
		inv.bytes += b.bytes
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (s *Store) readResults(ctx context.Context, inv *inventory) error {
	return s.each("results", func(path string, fi fs.FileInfo) error {
		it := &item{kind: kindResult, path: path, used: fi.ModTime()}
		rec, err := s.readRecord(path)
		if err != nil {
			return err
		}
		if rec != nil {
			it.rec = rec
			it.blobs = s.references(ctx, rec)
		}
		for _, d := range it.blobs {
			if b := inv.blobs[d]; b != nil {
				b.refs++
			}
		}
		inv.items = append(inv.items, it)
		return nil
	})
}

// references returns what a result refers to, each once. What is missing refers
// to nothing.
func (s *Store) references(ctx context.Context, rec *record) []digest.Digest {
	seen := make(map[digest.Digest]bool)
	var all []digest.Digest
	for _, desc := range rec.Outputs {
		below, err := s.walk(ctx, desc, true)
		if err != nil {
			s.log.Debug("a result refers to something that is missing", "key", rec.Key, "error", err)
			below = []digest.Digest{desc.Digest}
		}
		for _, d := range below {
			if !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	return all
}

func (s *Store) readTrees(_ context.Context, inv *inventory) error {
	return s.each("trees", func(path string, fi fs.FileInfo) error {
		it := &item{kind: kindTree, path: path, used: fi.ModTime()}
		err := walkTree(path, func(fi fs.FileInfo, ino, links uint64) {
			// The first tree that has a file counts it.
			if links > 1 && inv.links[ino] == 0 {
				inv.links[ino] = links
			} else if links > 1 {
				return
			}
			it.bytes += diskBytes(fi)
		})
		inv.bytes += it.bytes
		inv.items = append(inv.items, it)
		return err
	})
}

// unlink returns the disk space that goes with a tree: that of the files which
// no other tree has.
func (inv *inventory) unlink(path string) (bytes int64, err error) {
	err = walkTree(path, func(fi fs.FileInfo, ino, links uint64) {
		if links > 1 {
			if inv.links[ino]--; inv.links[ino] > 0 {
				return
			}
		}
		bytes += diskBytes(fi)
	})
	return bytes, err
}

// walkTree calls fn for all that is in a tree. The number of links of a folder
// is given as 1. Folders that may not be read count as empty.
func walkTree(path string, fn func(fi fs.FileInfo, ino, links uint64)) error {
	return filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok || d.IsDir() {
			fn(fi, 0, 1)
		} else {
			fn(fi, st.Ino, uint64(st.Nlink))
		}
		return nil
	})
}

func (s *Store) readHistory(_ context.Context, inv *inventory) error {
	return s.each("history", func(path string, fi fs.FileInfo) error {
		inv.items = append(inv.items, &item{kind: kindHistory, path: path, used: fi.ModTime()})
		return nil
	})
}

// readFolders reads the folders of others in the cache: those that are not the
// store's own and have a lock, the time of which is that of their last use.
func (s *Store) readFolders(_ context.Context, inv *inventory) error {
	locks, err := filepath.Glob(s.path("*", lockName))
	if err != nil {
		return err
	}
	for _, lock := range locks {
		fi, err := os.Stat(lock)
		if errors.Is(err, fs.ErrNotExist) || slices.Contains(ownFolders, filepath.Base(filepath.Dir(lock))) {
			continue
		}
		if err != nil {
			return err
		}
		it := &item{kind: kindFolder, path: filepath.Dir(lock), used: fi.ModTime()}
		err = walkTree(it.path, func(fi fs.FileInfo, _, _ uint64) { it.bytes += diskBytes(fi) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody is at work in it
			return err
		}
		inv.bytes += it.bytes
		inv.items = append(inv.items, it)
	}
	return nil
}

// each calls fn for each entry of a folder of the store.
func (s *Store) each(sub string, fn func(path string, fi fs.FileInfo) error) error {
	entries, err := os.ReadDir(s.path(sub))
	if err != nil {
		return err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if err := fn(s.path(sub, e.Name()), fi); err != nil {
			return err
		}
	}
	return nil
}

// diskBytes is the space that a file takes, which for a sparse one is less
// than its size.
func diskBytes(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}
