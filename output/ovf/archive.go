package ovf

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/output"
)

const (
	tarBlock = 512
	// tarRecord is what the length of an archive is a multiple of.
	tarRecord = 20 * tarBlock
	// ustarLimit is the first size that does not fit the octal digits of a
	// ustar header; larger ones are written in base 256, as GNU tar does.
	ustarLimit = 1 << 33
)

// archiveSink writes an OVA (DSP0243 section 5.3): descriptor, manifest, the
// signature if there is one, and the disks, so that an importer can check a
// disk while it streams by. The first is written at its place; the room before
// it suits the longest descriptor there can be, and blanks behind the text fill
// the rest. Further disks follow when it is complete.
type archiveSink struct {
	disk.Sink
	about *descriptor
	more  func(w io.WriterAt, i int) error
	stem  string
	file  *output.Pending
	room  int   // of the descriptor, in bytes
	start int64 // of the first disk
}

func beginOVA(ctx context.Context, d *descriptor, stem string, dir *output.Dir, size int64) (output.Sink, error) {
	s := &archiveSink{about: d, more: d.more(ctx, stem), stem: stem}
	// Names that do not fit an archive are refused before the disk is read.
	files := d.unwritten(stem)
	for _, f := range files {
		if err := writeHeader(io.Discard, f.name, 0, d.Created); err != nil {
			return nil, err
		}
	}
	longest, err := d.text(files)
	if err != nil {
		return nil, err
	}
	s.room = len(longest)
	before, err := s.before(longest, d.manifest(s.ovfName(), nil, files))
	if err != nil {
		return nil, err
	}
	s.start = int64(before.Len()) + tarBlock
	if s.file, err = dir.Create(stem + ".ova"); err != nil {
		return nil, err
	}
	s.file.HoldsDisk()
	if s.Sink, err = vmdk.Create(io.NewOffsetWriter(s.file, s.start), size, vmdk.Options{Name: files[0].name}); err != nil {
		s.file.Abort()
		return nil, err
	}
	return s, nil
}

func (s *archiveSink) ovfName() string { return s.stem + ".ovf" }

// Close implements disk.Sink: it finishes the disk, and fills in what is before
// and behind it.
func (s *archiveSink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	files, end, err := s.disks()
	if err != nil {
		return err
	}
	text, err := s.about.text(files)
	if err != nil {
		return err
	}
	text = append(text, bytes.Repeat([]byte{'\n'}, s.room-len(text))...)
	head, err := s.before(text, s.about.manifest(s.ovfName(), text, files))
	if err != nil {
		return err
	}
	if err := writeHeader(head, files[0].name, files[0].size, s.about.Created); err != nil {
		return err
	}
	if int64(head.Len()) != s.start {
		return fmt.Errorf("archiving: %d bytes came before the disk, %d were due", head.Len(), s.start)
	}
	if _, err := s.file.WriteAt(head.Bytes(), 0); err != nil {
		return err
	}
	end += 2 * tarBlock
	return s.file.Truncate((end + tarRecord - 1) / tarRecord * tarRecord)
}

// disks writes the further disks behind the first, and describes all. end is
// where the last member ends.
func (s *archiveSink) disks() (files []diskFile, end int64, err error) {
	start := s.start
	for i := range s.about.sizes {
		if i > 0 {
			start = end + tarBlock
			if err := s.more(io.NewOffsetWriter(s.file, start), i); err != nil {
				return nil, 0, err
			}
		}
		info, err := s.file.Stat()
		if err != nil {
			return nil, 0, err
		}
		length := info.Size() - start
		f, err := s.about.examine(diskName(s.stem, i), io.NewSectionReader(s.file, start, length), length)
		if err != nil {
			return nil, 0, err
		}
		if i > 0 {
			var header bytes.Buffer
			if err := writeHeader(&header, f.name, f.size, s.about.Created); err != nil {
				return nil, 0, err
			}
			if _, err := s.file.WriteAt(header.Bytes(), end); err != nil {
				return nil, 0, err
			}
		}
		files, end = append(files, f), start+blocks(f.size)
	}
	return files, end, nil
}

// before returns the members that stand before the disk.
func (s *archiveSink) before(text, manifest []byte) (*bytes.Buffer, error) {
	members := []struct {
		name string
		data []byte
	}{{s.ovfName(), text}, {s.stem + ".mf", manifest}}
	if s.about.signer != nil {
		signed, err := s.about.signer.certificate(s.about.hash, s.stem+".mf", manifest)
		if err != nil {
			return nil, err
		}
		members = append(members, struct {
			name string
			data []byte
		}{s.stem + ".cert", signed})
	}
	var b bytes.Buffer
	for _, m := range members {
		if err := writeHeader(&b, m.name, int64(len(m.data)), s.about.Created); err != nil {
			return nil, err
		}
		b.Write(m.data)
		b.Write(make([]byte, blocks(int64(len(m.data)))-int64(len(m.data))))
	}
	return &b, nil
}

// Commit implements output.Sink.
func (s *archiveSink) Commit() ([]output.File, error) { return output.Commit("ova", s.file) }

// Abort implements output.Sink.
func (s *archiveSink) Abort() {
	// What Close says of a file that is dropped does not matter.
	_ = s.Sink.Close()
	s.file.Abort()
}

// blocks rounds up to whole blocks of an archive.
func blocks(n int64) int64 { return (n + tarBlock - 1) / tarBlock * tarBlock }

// writeHeader writes the header of a regular file that belongs to nobody.
func writeHeader(w io.Writer, name string, size int64, when time.Time) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: when.Truncate(time.Second), Format: tar.FormatUSTAR}
	if size >= ustarLimit {
		h.Format = tar.FormatGNU
	}
	if err := tar.NewWriter(w).WriteHeader(h); err != nil {
		return fmt.Errorf("archiving %s: %w", name, err)
	}
	return nil
}
