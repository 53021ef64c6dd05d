package ovf

import (
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
	// The signature is nil for none.
	ovf, manifest, signature, vmdk *output.Pending
}

func beginOVF(d *descriptor, stem string, dir *output.Dir, size int64) (output.Sink, error) {
	s := &looseSink{about: d}
	for _, f := range []struct {
		p    **output.Pending
		name string
	}{{&s.ovf, stem + ".ovf"}, {&s.manifest, stem + ".mf"}, {&s.signature, stem + ".cert"}, {&s.vmdk, stem + "-disk1.vmdk"}} {
		if f.p == &s.signature && d.signer == nil {
			continue
		}
		var err error
		if *f.p, err = dir.Create(f.name); err != nil {
			output.AbortAll(s.files()...)
			return nil, err
		}
	}
	var err error
	if s.Sink, err = vmdk.Create(s.vmdk, size, vmdk.Options{Name: s.vmdk.FinalName()}); err != nil {
		output.AbortAll(s.files()...)
		return nil, err
	}
	return s, nil
}

func (s *looseSink) files() []*output.Pending {
	files := []*output.Pending{s.ovf, s.manifest, s.vmdk}
	if s.signature != nil {
		files = append(files, s.signature)
	}
	return files
}

// Close implements disk.Sink: it finishes the disk and writes what describes
// it.
func (s *looseSink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	info, err := s.vmdk.Stat()
	if err != nil {
		return err
	}
	f, sum, err := s.about.examine(s.vmdk.FinalName(), s.vmdk, info.Size())
	if err != nil {
		return err
	}
	text, err := s.about.text(f)
	if err != nil {
		return err
	}
	if _, err := s.ovf.Write(text); err != nil {
		return err
	}
	manifest := s.about.manifest(s.ovf.FinalName(), text, f.name, sum)
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

// examine measures and digests the VMDK in the n bytes of r.
func (d *descriptor) examine(name string, r io.ReaderAt, n int64) (diskFile, string, error) {
	f := diskFile{name: name, size: n}
	image, err := vmdk.Open(r, n)
	if err != nil {
		return f, "", fmt.Errorf("measuring %s: %w", name, err)
	}
	for e, err := range disk.DataExtents(image) {
		if err != nil {
			return f, "", fmt.Errorf("measuring %s: %w", name, err)
		}
		f.populated += e.Len
	}
	sum, err := d.hash.sum(io.NewSectionReader(r, 0, n))
	if err != nil {
		return f, "", fmt.Errorf("digesting %s: %w", name, err)
	}
	return f, sum, nil
}
