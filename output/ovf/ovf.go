// Package ovf writes and reads the Open Virtualization Format, version 1.1
// (DMTF DSP0243), the one that VMware, VirtualBox, Proxmox and virt-v2v take.
//
// # Writing
//
// There are two formats over one writer: [OVA] is a single archive, NAME.ova,
// and [OVF] the loose files NAME.ovf, NAME.mf and NAME-disk1.vmdk. The disk is
// a streamOptimized VMDK. It is written once: in an archive, right at its
// place behind room for the descriptor and the manifest, which are filled in
// when its size is known. Further disks of the machine follow it.
//
// One package fits one kind of importer best, so there is a choice of five:
//
//	vmware      vmx-14 (ESXi 6.7 and later), pvscsi, vmxnet3
//	virtualbox  virtualbox-2.2, AHCI, e1000
//	xenserver   hvm-3.0-unknown, IDE, limits and reservations
//	ovm         the same, for Oracle VM
//	generic     no machine type, AHCI, e1000: for all others
//
// Several of them in one package become several sets of virtual hardware over
// the same disk; an importer takes one that it knows, or refuses them all.
//
// Firmware is told to VMware and to virt-v2v. VirtualBox has no way to learn
// it from OVF elements: a disk that only boots by UEFI needs EFI switched on
// there.
//
// With a certificate and its RSA key the manifest is signed: NAME.cert.
//
// # Reading
//
// [Open] takes either form, also that of other makers and of OVF 0.9 to 2.1.
// It describes the machine, opens its disks in place, and verifies the
// manifest and its signature.
package ovf

import (
	"context"
	"crypto"
	_ "crypto/sha1"   // for Hash
	_ "crypto/sha256" // for Hash
	_ "crypto/sha512" // for Hash
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Options are the options of a recipe, of both formats.
type Options struct {
	// Hypervisor is "vmware" (the default), "virtualbox", "xenserver", "ovm"
	// or "generic"; or a list of them.
	Hypervisor names `json:"hypervisor"`
	// System stands for the machine type of the hypervisor: one, several
	// divided by blanks, or "none".
	System string `json:"system"`
	// Hash is the digest of the manifest: "sha256" (the default), "sha512",
	// or "sha1" for VMware before 6.5, which later versions may refuse.
	Hash string `json:"hash"`
	// Certificate and Key are paths of files in PEM, with which the manifest
	// is signed.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// fileOptions are the keys of options that are paths.
func fileOptions() []string { return []string{"certificate", "key"} }

// OVA is a single file that holds descriptor, manifest and disk.
type OVA struct{}

// Name implements output.Format.
func (OVA) Name() string { return "ova" }

// Summary implements output.Format.
func (OVA) Summary() string { return "OVF package in one file, for VMware, VirtualBox and others" }

// FileOptions implements output.FileOptions.
func (OVA) FileOptions() []string { return fileOptions() }

// New implements output.Format.
func (f OVA) New(options json.RawMessage) (output.Writer, error) {
	return newWriter(f, options, beginOVA)
}

// OVF is a descriptor, a manifest and a disk as loose files.
type OVF struct{}

// Name implements output.Format.
func (OVF) Name() string { return "ovf" }

// Summary implements output.Format.
func (OVF) Summary() string { return "OVF package in loose files: descriptor, manifest, VMDK" }

// FileOptions implements output.FileOptions.
func (OVF) FileOptions() []string { return fileOptions() }

// New implements output.Format.
func (f OVF) New(options json.RawMessage) (output.Writer, error) {
	return newWriter(f, options, beginOVF)
}

// begin opens the files of a format.
type begin func(ctx context.Context, d *descriptor, stem string, dir *output.Dir, size int64) (output.Sink, error)

// names is a word or a list of words.
type names []string

// UnmarshalJSON implements json.Unmarshaler.
func (n *names) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*n = names{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return errors.New("hypervisor is a word or a list of words")
	}
	*n = list
	return nil
}

type writer struct {
	machines []machine
	hash     hash
	signer   *signer
	begin    begin
}

func newWriter(f output.Format, options json.RawMessage, begin begin) (output.Writer, error) {
	o := Options{Hypervisor: names{"vmware"}, Hash: "sha256"}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	m, err := o.choose()
	if err != nil {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output %s: %w", f.Name(), err),
			"the hypervisors are "+strings.Join(hypervisorNames(), ", "))
	}
	h, ok := hashes()[o.Hash]
	if !ok {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output %s: hash: %q is not known", f.Name(), o.Hash),
			"choose sha256, sha512 or sha1")
	}
	sign, err := openSigner(o)
	if err != nil {
		return nil, fmt.Errorf("options of output %s: %w", f.Name(), err)
	}
	return writer{m, h, sign, begin}, nil
}

// Begin implements output.Writer.
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	d := &descriptor{Appliance: a, machines: w.machines, hash: w.hash, signer: w.signer, sizes: []int64{size}}
	for _, more := range a.Disks {
		d.sizes = append(d.sizes, more.Size())
	}
	if err := d.fits(); err != nil {
		return nil, err
	}
	return w.begin(ctx, d, a.Name, dir, size)
}

// hash is a digest that manifests know.
type hash struct {
	name string // as manifests write it
	crypto.Hash
}

func hashes() map[string]hash {
	return map[string]hash{
		"sha1":   {"SHA1", crypto.SHA1},
		"sha256": {"SHA256", crypto.SHA256},
		"sha512": {"SHA512", crypto.SHA512},
	}
}
