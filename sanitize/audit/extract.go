package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// Extractor writes recovered files into a folder. It is what [Options.Found]
// calls. What it writes may hold secrets, so only its owner may read it.
type Extractor struct {
	dir   string
	disk  io.ReaderAt
	bytes int64 // still allowed
	files int64 // still allowed

	// Written counts the files, Left those that were beyond the limits.
	Written, Left int64
}

// NewExtractor makes the folder, which must be new or empty. It writes at most
// so many bytes and files.
func NewExtractor(dir string, r disk.Reader, maxBytes, maxFiles int64) (*Extractor, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making the folder for recovered files: %w", err), "name a folder that can be made")
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, fault.New(fault.Environment, err, "name a folder that you may read")
	}
	defer d.Close()
	switch _, err := d.ReadDir(1); {
	case err == nil:
		return nil, fault.New(fault.Usage, fmt.Errorf("the folder %s is not empty", dir), "name a new one: recovered files must not mix with others")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return &Extractor{dir: dir, disk: r, bytes: maxBytes, files: maxFiles}, nil
}

// Write writes the file of a finding in dead space, under its offset and type.
// Other findings, and those beyond the limits, are passed over.
func (x *Extractor) Write(f Finding) error {
	if f.Kind != File || !f.Dead() {
		return nil
	}
	if x.files == 0 || f.Length > x.bytes {
		x.Left++
		return nil
	}
	x.files--
	x.bytes -= f.Length
	x.Written++
	name := filepath.Join(x.dir, fmt.Sprintf("%015d.%s", f.Offset, f.Rule))
	// Two findings of one type begin at one place when one is damaged.
	out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing a recovered file: %w", err), "check space and permissions of the folder")
	}
	_, err = io.Copy(out, io.NewSectionReader(x.disk, f.Offset, f.Length))
	if err = errors.Join(err, out.Close()); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing %s: %w", name, err), "check space and permissions of the folder")
	}
	return nil
}
