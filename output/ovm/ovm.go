// Package ovm writes templates for Oracle VM 3: NAME.tgz, an archive that
// holds vm.cfg and the disk, System.img.
//
// The archive is written in one pass and never lies unpacked: its length is
// known beforehand, so it is compressed like a disk, in which the zeros of
// System.img are holes.
package ovm

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

// Names in a template.
const (
	ConfigName = "vm.cfg"
	DiskName   = "System.img"
)

// Format is the format for Oracle VM.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Domain is the domain type: "xen_hvm_pv_drivers" (the default), or
	// "xen_hvm" for disks whose kernel has no drivers for Xen.
	Domain string `json:"domain"`
}

const (
	withDrivers = "xen_hvm_pv_drivers"
	emulated    = "xen_hvm"
)

// Name implements output.Format.
func (Format) Name() string { return "ovm" }

// Summary implements output.Format.
func (Format) Summary() string { return "template for Oracle VM 3: vm.cfg and System.img" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Domain: withDrivers}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	if o.Domain != withDrivers && o.Domain != emulated {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output ovm: domain: %q is not known", o.Domain),
			"choose "+withDrivers+" or "+emulated)
	}
	return writer{f, o}, nil
}

type writer struct {
	format  Format
	options Options
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	head, err := header(config(a, w.options.Domain), size, a.Created)
	if err != nil {
		return nil, err
	}
	p, err := dir.Create(a.Name + ".tgz")
	if err != nil {
		return nil, err
	}
	s := &archive{start: int64(len(head))}
	if s.Sink, err = packed.Create(p, archiveSize(s.start, size), packed.Gzip); err == nil {
		if _, err = s.Sink.WriteAt(head, 0); err != nil {
			_ = s.Sink.Close() // it returns the same error
		}
	}
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(w.format.Name(), p, s), nil
}

// archive takes the disk to its place in the archive.
type archive struct {
	disk.Sink
	start int64
}

func (a *archive) WriteAt(p []byte, off int64) (int, error) { return a.Sink.WriteAt(p, a.start+off) }

const (
	tarBlock = 512
	// tarRecord is what the length of an archive is a multiple of.
	tarRecord = 20 * tarBlock
	// ustarLimit is the first size that does not fit the octal digits of a
	// ustar header; larger ones are written in base 256, as GNU tar does.
	ustarLimit = 1 << 33
)

// archiveSize returns the length of an archive whose last member has size
// bytes from start, with two blocks of zeros behind it.
func archiveSize(start, size int64) int64 {
	end := start + size + 2*tarBlock + tarBlock - 1
	return (end/tarBlock*tarBlock + tarRecord - 1) / tarRecord * tarRecord
}

// header returns the archive up to the first byte of the disk.
func header(config []byte, size int64, when time.Time) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, m := range []struct {
		name string
		size int64
		data []byte
	}{{ConfigName, int64(len(config)), config}, {DiskName, size, nil}} {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: m.size, Mode: 0o644, ModTime: when.Truncate(time.Second), Format: tar.FormatUSTAR}
		if m.size >= ustarLimit {
			h.Format = tar.FormatGNU
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", m.name, err)
		}
		if _, err := t.Write(m.data); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", m.name, err)
		}
	}
	return b.Bytes(), nil
}

// config returns vm.cfg. The manager replaces the path of the disk and gives
// the network card its address and bridge.
func config(a output.Appliance, domain string) []byte {
	const mib = 1 << 20
	memory := (a.Memory + mib - 1) / mib
	var w xlcfg.Writer
	w.String("name", a.Name)
	w.String("OVM_simple_name", a.Name)
	w.String("OVM_description", a.Description)
	w.String("OVM_os_type", "Other Linux")
	w.String("guest_os_type", "linux")
	w.String("OVM_domain_type", domain)
	w.String("builder", "hvm")
	w.String("kernel", "hvmloader")
	w.String("boot", "c")
	w.Int("acpi", 1)
	w.Int("apic", 1)
	w.Int("pae", 1)
	w.Int("memory", memory)
	w.Int("maxmem", memory)
	w.Int("vcpus", int64(a.CPUs))
	w.Int("maxvcpus", int64(a.CPUs))
	w.String("serial", "pty")
	w.List("disk", "file:"+DiskName+","+device(domain)+",w")
	w.List("vif", card(domain))
	w.String("on_poweroff", "destroy")
	w.String("on_reboot", "restart")
	w.String("on_crash", "restart")
	return w.Bytes()
}

// device is what the guest sees the disk as.
func device(domain string) string {
	if domain == emulated {
		return "hda"
	}
	return "xvda"
}

// card is emulated for kernels that have no driver for Xen's own.
func card(domain string) string {
	if domain == emulated {
		return "type=ioemu,model=e1000"
	}
	return "type=netfront"
}
