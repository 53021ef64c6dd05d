package stages

import (
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/recipes"
)

// planted is a disk with a private key where nothing is known to live.
func planted(t *testing.T) disk.Reader {
	t.Helper()
	// In pieces, so that this file is no finding of its own.
	key := "-----BEGIN RSA " + "PRIVATE KEY-----\n" + strings.Repeat(strings.Repeat("MIIEpAIBAAKCAQEA", 4)+"\n", 20) + "-----END RSA " + "PRIVATE KEY-----\n"
	m := disk.NewMemory(4 << 20)
	if _, err := m.WriteAt([]byte(key), 1<<20); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReadBack finds a secret in the disk of every format, whatever is around
// the disk, and nothing in an empty disk.
func TestReadBack(t *testing.T) {
	for _, format := range []string{
		"azure", "gcp", "kubevirt", "libvirt", "openstack", "ova", "ovf", "proxmox", "qcow2", "raw", "vagrant", "vhd", "vhdx", "vmdk", "xen",
	} {
		if n := findings(t, format, planted(t)); n != 1 {
			t.Errorf("%s: a secret was found in %d files", format, n)
		}
		if n := findings(t, format, disk.NewMemory(4<<20)); n != 0 {
			t.Errorf("%s: something was found in an empty disk", format)
		}
	}
}

// findings writes a disk and returns in how many of the files the audit finds
// something.
func findings(t *testing.T, format string, d disk.Reader) int {
	t.Helper()
	s, err := formats.Select(format, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files, err := output.Write(t.Context(), outputtest.Appliance(), d, dir, []output.Selected{s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		err := readBack(t.Context(), dir.Path(file.Path), file.Format, recipes.Sanitize{Policy: "default"})
		if err != nil && fault.KindOf(err) != fault.Residue {
			t.Errorf("%s: %v", file.Path, err)
		}
		if err != nil {
			found++
		}
	}
	return found
}
