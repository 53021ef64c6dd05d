package output

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"golang.org/x/sync/errgroup"
)

const (
	// unfinished is the folder of files that have no name yet. They lie there
	// under the names that they will have, so that those of a format that
	// refer to each other can be read before they are committed.
	unfinished = ".imgbuild-unfinished"
	// reserved is what no output's name begins with.
	reserved = ".imgbuild-"
)

// Dir is a folder that formats write into. A file lies in a folder below it
// until it is committed.
type Dir struct {
	path  string
	limit int64 // bytes of each file; 0 means none
	check func(path, format string) error
	gate  func() error
}

// Limit returns the folder with a bound on the size of each file, in bytes; 0
// means none. A larger one fails its format, with a fault of kind Check.
func (d *Dir) Limit(size int64) *Dir {
	limited := *d
	limited.limit = size
	return &limited
}

// Checked returns the folder with a judge of the disks in its files: an error
// for one that is complete, but not yet committed, fails its format. Asked about
// are the files of which [Pending.HoldsDisk] was said, several at the same time.
func (d *Dir) Checked(check func(path, format string) error) *Dir {
	checked := *d
	checked.check = check
	return &checked
}

// Behind returns the folder with a gate: files that are complete get their names
// when it returns nil, and are dropped when it returns an error. It is asked by
// each format, of several at the same time.
func (d *Dir) Behind(gate func() error) *Dir {
	gated := *d
	gated.gate = gate
	return &gated
}

// pass waits for the gate.
func (d *Dir) pass() error {
	if d.gate == nil {
		return nil
	}
	return d.gate()
}

// OpenDir makes the folder if need be. One that cannot be made or written is
// the environment's fault.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making the output folder: %w", err), "name another folder with -o")
	}
	const mayWrite = 2 // access(2), W_OK
	if err := syscall.Access(path, mayWrite); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("opening the output folder %s: %w", path, err), "name a folder that you may write with -o")
	}
	return &Dir{path: path}, nil
}

// Path returns the path of a committed file.
func (d *Dir) Path(name string) string { return filepath.Join(d.path, name) }

// Create begins a file of that name. It ends in one Commit or Abort.
func (d *Dir) Create(name string) (*Pending, error) {
	if name == "." || name != filepath.Base(name) || !filepath.IsLocal(name) || strings.HasPrefix(name, reserved) {
		return nil, fmt.Errorf("%q is no name for an output file", name)
	}
	f, err := d.open(name)
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", name, err)
	}
	return &Pending{File: f, dir: d, name: name}, nil
}

// open opens an unfinished file. Whoever else writes into the folder may
// remove the one for unfinished files, as nobody needs it, between its making
// and its use.
func (d *Dir) open(name string) (f *os.File, err error) {
	const tries = 10
	for range tries {
		if err = os.MkdirAll(filepath.Join(d.path, unfinished), 0o755); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(filepath.Join(d.path, unfinished, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return f, err
}

// tidy removes the folder for unfinished files when it is empty.
func (d *Dir) tidy() { _ = os.Remove(filepath.Join(d.path, unfinished)) }

// Pending is a file that is not yet complete.
type Pending struct {
	*os.File
	dir   *Dir
	name  string
	holds bool // the disk
}

// HoldsDisk says that the disk can be read from this file, alone or by way of
// others that it names.
func (p *Pending) HoldsDisk() { p.holds = true }

// FinalName returns the name the file will have.
func (p *Pending) FinalName() string { return p.name }

// Fill writes the whole of a file of this machine.
func (p *Pending) Fill(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("filling %s: %w", p.name, err)
	}
	defer f.Close()
	if _, err := io.Copy(p, f); err != nil {
		return fmt.Errorf("filling %s: %w", p.name, err)
	}
	return nil
}

// Finish makes the content durable and describes the file. While the medium
// takes it, it is judged and digested.
func (p *Pending) Finish(format string) (File, error) {
	info, err := p.Stat()
	if err != nil {
		return File{}, err
	}
	if limit := p.dir.limit; limit > 0 && info.Size() > limit {
		return File{}, fault.New(fault.Check, fmt.Errorf("%s has %d bytes, more than its budget of %d", p.name, info.Size(), limit),
			"raise budgets.outputSize, or choose a format that compresses, such as ova")
	}
	var steps errgroup.Group
	steps.Go(func() error {
		if err := p.Sync(); err != nil {
			return fmt.Errorf("syncing %s: %w", p.name, err)
		}
		return nil
	})
	steps.Go(func() error {
		if p.dir.check == nil || !p.holds {
			return nil
		}
		if err := p.dir.check(p.Name(), format); err != nil {
			return fmt.Errorf("reading back %s: %w", p.name, err)
		}
		return nil
	})
	sum, err := digest(p.File)
	if err != nil {
		err = fmt.Errorf("digesting %s: %w", p.name, err)
	}
	if err := cmp.Or(steps.Wait(), err); err != nil {
		return File{}, err
	}
	// Only what is on the medium tells how much of it the file takes.
	if info, err = p.Stat(); err != nil {
		return File{}, err
	}
	return File{Format: format, Path: p.name, Size: info.Size(), SHA256: sum, Allocated: allocated(info)}, nil
}

// Commit gives the file its name.
func (p *Pending) Commit() error {
	if err := p.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("closing %s: %w", p.name, err)
	}
	if err := os.Rename(p.Name(), p.dir.Path(p.name)); err != nil {
		return err
	}
	p.dir.tidy()
	return nil
}

// Abort drops the file.
func (p *Pending) Abort() {
	p.Close()
	os.Remove(p.Name())
	p.dir.tidy()
}

// digest returns the SHA-256 of all of r, in hexadecimal. Holes are hashed
// without being read.
func digest(f *os.File) (string, error) {
	r, err := disk.NewFile(f)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	var off int64
	for e, err := range disk.DataExtents(r) {
		if err != nil {
			return "", err
		}
		hashZeros(h, zeros, e.Off-off)
		// The buffer is for readers that cannot write themselves into a hash.
		data := struct{ io.Reader }{io.NewSectionReader(r, e.Off, e.Len)}
		if n, err := io.CopyBuffer(h, data, buf); err != nil || n != e.Len {
			return "", errors.Join(err, fmt.Errorf("%d bytes of %d read at offset %d", n, e.Len, e.Off))
		}
		off = e.End()
	}
	hashZeros(h, zeros, r.Size()-off)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashZeros(h hash.Hash, zeros []byte, n int64) {
	for n > 0 {
		step := min(n, int64(len(zeros)))
		h.Write(zeros[:step])
		n -= step
	}
}

// allocated returns the bytes that a file takes on disk.
func allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// environment makes a full disk, or a folder that may not be written, the
// environment's fault.
func environment(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.New(fault.Environment, err, "free some space, or name a folder on another disk with -o")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.New(fault.Environment, err, "name a folder that you may write with -o")
	}
	return err
}
