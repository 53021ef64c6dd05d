// Package proxmox writes the disk for Proxmox VE: NAME-proxmox.qcow2, and
// NAME-proxmox.sh, which makes a machine of it with qm(1) on a host.
//
//	sh NAME-proxmox.sh VMID [STORAGE [BRIDGE]]
//
// The script imports the disk that lies beside it (Proxmox VE 7.2 and later).
// When something fails, the machine that it began is destroyed again.
package proxmox

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/qcow2"
)

// Format is the Proxmox format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "proxmox" }

// Summary implements output.Format.
func (Format) Summary() string { return "qcow2 and a script that makes a machine on Proxmox VE" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	stem := a.Name + "-proxmox"
	if n := 1 + len(a.Disks); n > maxDisks {
		return nil, fault.New(fault.Usage, fmt.Errorf("a machine with %d disks does not fit: %d are the most", n, maxDisks))
	}
	if strings.Contains(a.Name, ",") { // it would end the name of a disk, for qm
		return nil, fault.New(fault.Usage, fmt.Errorf("the name %s has a comma", a.Name), "choose another name")
	}
	return qcow2.Described(ctx, f.Name(), dir, stem, size, a.Disks,
		qcow2.Text{Name: stem + ".sh", Content: script(a, stem), Mode: 0o755})
}

// maxDisks is how many a machine of Proxmox has of SCSI (qm(1)).
const maxDisks = 31

// files are the names of the disks, for a shell.
func files(stem string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" " + quote(qcow2.DiskName(stem, i)))
	}
	return b.String()
}

// notInNames matches what a name may hold and a DNS name, which is what
// Proxmox wants, may not.
var notInNames = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// script returns the script. Names and the description are foreign text, and
// quoted.
func script(a output.Appliance, stem string) []byte {
	const mib = 1 << 20
	var b strings.Builder
	fmt.Fprintf(&b, `#!/bin/sh
# Makes a machine of the disks beside it on this Proxmox VE host.
set -eu
if [ $# -lt 1 ]; then
	echo "usage: $0 VMID [STORAGE [BRIDGE]]" >&2
	exit 2
fi
id=$1 storage=${2:-local-lvm} bridge=${3:-vmbr0}
dir=$(cd "$(dirname "$0")" && pwd)
for disk in%s; do
	[ -f "$dir/$disk" ] || { echo "$0: $dir/$disk is missing" >&2; exit 1; }
done
`, files(stem, 1+len(a.Disks)))
	fmt.Fprintf(&b, "qm create \"$id\" --name %s --ostype l26 --machine q35 --cores %d --memory %d \\\n", quote(name(a.Name)), max(a.CPUs, 1), (a.Memory+mib-1)/mib)
	if a.Firmware == "uefi" {
		b.WriteString("\t--bios ovmf \\\n")
	}
	if a.Description != "" {
		fmt.Fprintf(&b, "\t--description %s \\\n", quote(a.Description))
	}
	b.WriteString(`	--scsihw virtio-scsi-single --net0 "virtio,bridge=$bridge" --serial0 socket --vga serial0 \
	--rng0 source=/dev/urandom
qm set "$id"`)
	for i := range 1 + len(a.Disks) {
		fmt.Fprintf(&b, " --scsi%d \"$storage:0,import-from=$dir/\"%s\",discard=on\"", i, quote(qcow2.DiskName(stem, i)))
	}
	b.WriteString(` --boot order=scsi0 || {
	qm destroy "$id"
	exit 1
}
`)
	return []byte(b.String())
}

// name turns the appliance's name into a DNS name.
func name(s string) string {
	const longest = 63 // of a label (RFC 1035 section 2.3.4)
	s = strings.Trim(notInNames.ReplaceAllString(s, "-"), "-")
	if s == "" {
		return "appliance"
	}
	return strings.TrimRight(s[:min(len(s), longest)], "-")
}

// quote makes one word of text for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
