package ovf

import (
	"context"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/output"
)

// looseSink writes the files of a package apart.
type looseSink struct {
	disk.Sink
	about *descriptor
	more  func(w io.WriterAt, i int) error
	// The signature is nil for none.
	ovf, manifest, signature *output.Pending
	vmdks                    []*output.Pending
}

func beginOVF(ctx context.Context, d *descriptor, stem string, dir *output.Dir, size int64) (output.Sink, error) {
	s := &looseSink{about: d, more: d.more(ctx, stem), vmdks: make([]*output.Pending, len(d.sizes))}
	type file struct {
		p    **output.Pending
		name string
	}
	list := []file{{&s.ovf, stem + ".ovf"}, {&s.manifest, stem + ".mf"}, {&s.signature, stem + ".cert"}}
	for i := range s.vmdks {
		list = append(list, file{&s.vmdks[i], diskName(stem, i)})
	}
	for _, f := range list {
		if f.p == &s.signature && d.signer == nil {
			continue
		}
		var err error
		if *f.p, err = dir.Create(f.name); err != nil {
			output.AbortAll(s.files()...)
			return nil, err
		}
	}
	s.ovf.HoldsDisk()
	var err error
	if s.Sink, err = vmdk.Create(s.vmdks[0], size, vmdk.Options{Name: s.vmdks[0].FinalName()}); err != nil {
		output.AbortAll(s.files()...)
		return nil, err
	}
	return s, nil
}

func (s *looseSink) files() []*output.Pending {
	files := append([]*output.Pending{s.ovf, s.manifest}, s.vmdks...)
	if s.signature != nil {
		files = append(files, s.signature)
	}
	return files
}

// Close implements disk.Sink: it finishes the disk, writes the further ones, and
// what describes them.
func (s *looseSink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	files := make([]diskFile, len(s.vmdks))
	for i, p := range s.vmdks {
		if i > 0 {
			if err := s.more(p, i); err != nil {
				return err
			}
		}
		info, err := p.Stat()
		if err != nil {
			return err
		}
		if files[i], err = s.about.examine(p.FinalName(), p, info.Size()); err != nil {
			return err
		}
	}
	text, err := s.about.text(files)
	if err != nil {
		return err
	}
	if _, err := s.ovf.Write(text); err != nil {
		return err
	}
	manifest := s.about.manifest(s.ovf.FinalName(), text, files)
	if _, err = s.manifest.Write(manifest); err != nil || s.signature == nil {
		return err
	}
	signed, err := s.about.signer.certificate(s.about.hash, s.manifest.FinalName(), manifest)
	if err != nil {
		return err
	}
	_, err = s.signature.Write(signed)
	return err
}

// Commit implements output.Sink.
func (s *looseSink) Commit() ([]output.File, error) { return output.Commit("ovf", s.files()...) }

// Abort implements output.Sink.
func (s *looseSink) Abort() {
	// What Close says of a file that is dropped does not matter.
	_ = s.Sink.Close()
	output.AbortAll(s.files()...)
}

// more returns a function that writes the VMDK of a further disk. The disk is
// read as long as ctx lasts.
func (d *descriptor) more(ctx context.Context, stem string) func(w io.WriterAt, i int) error {
	return func(w io.WriterAt, i int) error {
		sink, err := vmdk.Create(w, d.sizes[i], vmdk.Options{Name: diskName(stem, i)})
		if err != nil {
			return err
		}
		if err := disk.Copy(ctx, d.Disks[i-1], nil, sink); err != nil {
			// What Close says of a file that is dropped does not matter.
			_ = sink.Close()
			return fmt.Errorf("copying disk %d: %w", i+1, err)
		}
		return sink.Close()
	}
}

// examine measures and digests the VMDK in the n bytes of r.
func (d *descriptor) examine(name string, r io.ReaderAt, n int64) (diskFile, error) {
	f := diskFile{name: name, size: n}
	image, err := vmdk.Open(r, n)
	if err != nil {
		return f, fmt.Errorf("measuring %s: %w", name, err)
	}
	for e, err := range disk.DataExtents(image) {
		if err != nil {
			return f, fmt.Errorf("measuring %s: %w", name, err)
		}
		f.populated += e.Len
	}
	if f.sum, err = d.hash.sum(io.NewSectionReader(r, 0, n)); err != nil {
		return f, fmt.Errorf("digesting %s: %w", name, err)
	}
	return f, nil
}
