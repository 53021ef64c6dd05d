package files

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// FolderOptions change what Folder gives.
type FolderOptions struct {
	// Mode replaces the permission bits of regular files unless it is 0.
	Mode int64
	// UID and GID own everything.
	UID, GID int
}

// Folder returns the entries for a file or a folder of this machine, placed at
// target. Devices, sockets and pipes are an error.
func Folder(host, target string, o FolderOptions) ([]Entry, error) {
	host, err := filepath.EvalSymlinks(host)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	err = filepath.WalkDir(host, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, name)
		if err != nil {
			return err
		}
		e, err := newEntry(name, path.Join(target, filepath.ToSlash(rel)))
		if err != nil {
			return err
		}
		e.UID, e.GID = o.UID, o.GID
		if o.Mode != 0 && !e.Dir && e.Link == "" {
			e.Mode = o.Mode
		}
		if e.Path != "/" {
			entries = append(entries, e)
		}
		return nil
	})
	return entries, err
}

// newEntry describes a file of this machine as it is, owned by root.
func newEntry(host, guest string) (Entry, error) {
	info, err := os.Lstat(host)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: guest, Mode: unixMode(info.Mode())}
	switch mode := info.Mode(); {
	case mode.IsDir():
		e.Dir = true
	case mode&fs.ModeSymlink != 0:
		if e.Link, err = os.Readlink(host); err != nil {
			return Entry{}, err
		}
	case mode.IsRegular():
		e.Source = host
	default:
		return Entry{}, fmt.Errorf("%s is neither a file, a folder nor a link", host)
	}
	return e, nil
}

// unixMode returns the twelve permission bits.
func unixMode(m fs.FileMode) int64 {
	bits := int64(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
