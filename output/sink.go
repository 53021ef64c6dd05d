package output

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/disk"
)

// FileSink returns the sink of a format that writes one file: enc encodes the
// disk into p. Abort closes enc, so that nothing of it stays behind.
func FileSink(format string, p *Pending, enc disk.Sink) Sink {
	p.HoldsDisk()
	return &fileSink{Sink: enc, format: format, file: p}
}

type fileSink struct {
	disk.Sink
	format string
	file   *Pending
}

// Commit implements [Sink].
func (s *fileSink) Commit() ([]File, error) { return Commit(s.format, s.file) }

// Abort implements [Sink].
func (s *fileSink) Abort() {
	// What Close says of a file that is dropped does not matter.
	_ = s.Sink.Close()
	s.file.Abort()
}

// SetSink is the sink of a format of several files, one of which or all together
// hold the disk. The files are begun one by one, by Create; of the one that a
// reader of the disk opens, [Pending.HoldsDisk] is to be said.
type SetSink struct {
	disk.Sink // nil before Encode
	format    string
	dir       *Dir
	files     []*Pending
	more      func() error // writes the further disks; nil for none
}

// NewSetSink returns the sink of a format, without files.
func NewSetSink(format string, dir *Dir) *SetSink { return &SetSink{format: format, dir: dir} }

// Create begins a file.
func (s *SetSink) Create(name string) (*Pending, error) {
	p, err := s.dir.Create(name)
	if err == nil {
		s.files = append(s.files, p)
	}
	return p, err
}

// Encode sets what the disk goes into, unless there is an error, which it
// returns.
func (s *SetSink) Encode(enc disk.Sink, err error) error {
	if err == nil {
		s.Sink = enc
	}
	return err
}

// Follow tells of further disks, which are copied when the first one is complete:
// disk i into what create returns for it, in its file of that name. They are read
// as long as ctx lasts.
func (s *SetSink) Follow(ctx context.Context, disks []disk.Reader, name func(i int) string, create func(p *Pending, size int64) (disk.Sink, error)) {
	s.more = func() error {
		for i, d := range disks {
			p, err := s.Create(name(i + 1))
			if err != nil {
				return err
			}
			if err := fill(ctx, d, p, create); err != nil {
				return fmt.Errorf("writing %s: %w", p.FinalName(), err)
			}
		}
		return nil
	}
}

// fill copies a disk into a file.
func fill(ctx context.Context, d disk.Reader, p *Pending, create func(p *Pending, size int64) (disk.Sink, error)) error {
	enc, err := create(p, d.Size())
	if err != nil {
		return err
	}
	return errors.Join(disk.Copy(ctx, d, nil, enc), enc.Close())
}

// Close implements [disk.Sink]: it completes the first disk, and copies those
// that follow.
func (s *SetSink) Close() error {
	if err := s.Sink.Close(); err != nil || s.more == nil {
		return err
	}
	more := s.more
	s.more = nil
	return more()
}

// Commit implements [Sink].
func (s *SetSink) Commit() ([]File, error) { return Commit(s.format, s.files...) }

// Abort implements [Sink]. It may come before Encode.
func (s *SetSink) Abort() {
	if s.Sink != nil {
		// What Close says of files that are dropped does not matter.
		_ = s.Sink.Close()
	}
	AbortAll(s.files...)
}

// NoDisk is the half of a [Sink] that takes the disk, for formats whose files
// do not hold it: they embed it, and the disk is not read for them.
type NoDisk struct{}

// WriteAt drops p.
func (NoDisk) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// Close does nothing.
func (NoDisk) Close() error { return nil }

func (NoDisk) withoutDisk() {}

// takesDisk reports whether a sink wants the data of the disk.
func takesDisk(s Sink) bool {
	_, without := s.(interface{ withoutDisk() })
	return !without
}

// FilesSink returns the sink of a format whose files are complete and do not
// hold the disk.
func FilesSink(format string, files ...*Pending) Sink {
	return &filesSink{format: format, files: files}
}

type filesSink struct {
	NoDisk
	format string
	files  []*Pending
}

// Commit implements [Sink].
func (s *filesSink) Commit() ([]File, error) { return Commit(s.format, s.files...) }

// Abort implements [Sink].
func (s *filesSink) Abort() { AbortAll(s.files...) }

// FileCopy is the sink of a format whose one file, called name, holds what the
// file at path does.
func FileCopy(format string, dir *Dir, name, path string) (Sink, error) {
	p, err := dir.Create(name)
	if err != nil {
		return nil, err
	}
	if err := p.Fill(path); err != nil {
		p.Abort()
		return nil, err
	}
	return FilesSink(format, p), nil
}

// Commit makes the files of a format durable, waits for the gate of their
// folder, gives all of them their names and describes them. When it fails none
// of them is left.
func Commit(format string, files ...*Pending) ([]File, error) {
	made := make([]File, 0, len(files))
	for _, p := range files {
		f, err := p.Finish(format)
		if err != nil {
			AbortAll(files...)
			return nil, err
		}
		made = append(made, f)
	}
	if len(files) > 0 {
		if err := files[0].dir.pass(); err != nil {
			AbortAll(files...)
			return nil, err
		}
	}
	for i, p := range files {
		if err := p.Commit(); err != nil {
			AbortAll(files[i:]...)
			for _, done := range files[:i] {
				err = errors.Join(err, os.Remove(done.dir.Path(done.name)))
			}
			return nil, fmt.Errorf("naming the files: %w", err)
		}
	}
	return made, nil
}

// AbortAll drops files that were begun; nil ones are skipped.
func AbortAll(files ...*Pending) {
	for _, p := range files {
		if p != nil {
			p.Abort()
		}
	}
}
