// Package files turns files of this machine into pinned inputs and into the
// layers of a tree.
//
// [Digest] identifies a file or a folder by what is in it. [Match] takes files
// out of an unpacked package by patterns, [Folder] takes a whole folder;
// both give entries, and [Layer] writes entries as an OCI layer: an
// uncompressed tar that is the same bytes wherever and whenever it is made.
package files

import (
	"bytes"
	"io"
	"os"
)

// Entry is a file, a folder or a link in a layer.
type Entry struct {
	Path     string // absolute, clean, slash-separated
	Mode     int64  // permission bits, 07777
	UID, GID int
	// Dir makes a folder, Link a symbolic link with that target; otherwise
	// the entry is a regular file with the bytes of Content, or of the file
	// Source on this machine.
	Dir     bool
	Link    string
	Content Content
	Source  string
}

// Content are bytes that can be read again and again.
type Content interface {
	// Open returns the bytes and how many there are.
	Open() (io.ReadCloser, int64, error)
}

// Bytes is content in memory.
func Bytes(b []byte) Content { return inMemory(b) }

type inMemory []byte

func (b inMemory) Open() (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// onDisk is the content of a file.
type onDisk string

func (p onDisk) Open() (io.ReadCloser, int64, error) {
	f, err := os.Open(string(p))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// content returns what a regular entry holds.
func (e Entry) content() Content {
	switch {
	case e.Content != nil:
		return e.Content
	case e.Source != "":
		return onDisk(e.Source)
	}
	return inMemory(nil)
}
