package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Digest identifies a file by the SHA-256 of its bytes, in hexadecimal, and a
// folder by a digest over the names, kinds, permission bits, link targets and
// digests of all that is in it; times and owners are left out. The size is
// that of the file, or the sum of the folder's files, in bytes.
func Digest(name string) (sum string, size int64, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	if info.IsDir() {
		size, err = addFolder(h, name)
	} else {
		size, err = addFile(h, name)
	}
	if err != nil {
		return "", 0, fmt.Errorf("digesting %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

func addFile(w io.Writer, name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(w, f)
}

// addFolder walks in the order of names, so that the digest depends on nothing
// else.
func addFolder(h hash.Hash, top string) (size int64, err error) {
	err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %s\n", filepath.ToSlash(rel), info.Mode())
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			fmt.Fprintf(h, "%q\n", target)
			return err
		case d.Type().IsRegular():
			sub := sha256.New()
			n, err := addFile(sub, name)
			fmt.Fprintf(h, "%x\n", sub.Sum(nil))
			size += n
			return err
		}
		return nil
	})
	return size, err
}
