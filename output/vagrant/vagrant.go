// Package vagrant writes a box of Vagrant's libvirt provider: NAME.box, an
// archive of metadata.json, a Vagrantfile and box.img, the disk as qcow2.
//
// The archive is not compressed once more, for its disk is; Vagrant takes
// both. The Vagrantfile gives the machine its processors and memory, forwards
// the ports of the app, and switches off what needs a shell in the guest: the
// shared folder and the exchange of keys. `vagrant up` still waits for SSH,
// which an appliance does not have: the wait is cut short, and ends in an
// error while the machine runs.
//
//	vagrant box add --name NAME NAME.box
//
// The keys of the metadata are those of the provider's documentation ("Box
// format", version 1).
package vagrant

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

// Format is the Vagrant format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "vagrant" }

// Summary implements output.Format.
func (Format) Summary() string { return "box for Vagrant's libvirt provider" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	head, err := describe(a, size)
	if err != nil {
		return nil, err
	}
	p, err := dir.Create(a.Name + ".box")
	if err != nil {
		return nil, err
	}
	s := &sink{file: p, about: a, headerAt: int64(len(head))}
	_, err = p.Write(head)
	if err == nil {
		s.Sink, err = qcow2.Create(io.NewOffsetWriter(p, s.start()), size, qcow2.Options{Compression: qcow2.Deflate})
	}
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(f.Name(), p, s), nil
}

// describe returns the members before the disk.
func describe(a output.Appliance, size int64) ([]byte, error) {
	const gib = 1 << 30
	metadata, err := json.Marshal(struct {
		Provider    string `json:"provider"`
		Format      string `json:"format"`
		VirtualSize int64  `json:"virtual_size"` // GiB
	}{"libvirt", "qcow2", max(1, (size+gib-1)/gib)})
	if err != nil {
		return nil, fmt.Errorf("describing the box: %w", err)
	}
	var head []byte
	for _, m := range []struct {
		name    string
		content []byte
	}{{"metadata.json", append(metadata, '\n')}, {"Vagrantfile", vagrantfile(a)}} {
		p, err := tarred.Member(m.name, m.content, a.Created)
		if err != nil {
			return nil, err
		}
		head = append(head, p...)
	}
	return head, nil
}

// vagrantfile returns the defaults of the machine.
func vagrantfile(a output.Appliance) []byte {
	const mib = 1 << 20
	var b strings.Builder
	b.WriteString("Vagrant.configure(\"2\") do |config|\n")
	b.WriteString("  config.vm.synced_folder \".\", \"/vagrant\", disabled: true\n  config.ssh.insert_key = false\n  config.vm.boot_timeout = 5\n")
	for _, port := range a.Ports {
		fmt.Fprintf(&b, "  config.vm.network \"forwarded_port\", guest: %d, host: %d, auto_correct: true\n", port, port)
	}
	fmt.Fprintf(&b, "  config.vm.provider :libvirt do |libvirt|\n    libvirt.cpus = %d\n    libvirt.memory = %d\n    libvirt.machine_type = \"q35\"\n",
		max(a.CPUs, 1), (a.Memory+mib-1)/mib)
	b.WriteString("    libvirt.disk_bus = \"virtio\"\n    libvirt.nic_model_type = \"virtio\"\n  end\nend\n")
	return []byte(b.String())
}

// sink writes the disk at its place in the archive.
type sink struct {
	disk.Sink
	file     *output.Pending
	about    output.Appliance
	headerAt int64 // of the disk
}

func (s *sink) start() int64 { return s.headerAt + tarred.Block }

// Close implements disk.Sink: it fills in the disk's header, and ends the
// archive.
func (s *sink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size() - s.start()
	header, err := tarred.File("box.img", size, s.about.Created)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(header, s.headerAt); err != nil {
		return err
	}
	return s.file.Truncate(tarred.End(s.start() + tarred.Blocks(size)))
}
