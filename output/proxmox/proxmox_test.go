package proxmox_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/proxmox"
)

var files = []string{"hello-jvm-proxmox.qcow2", "hello-jvm-proxmox.sh"}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: proxmox.Format{}, Files: files, Check: func(t *testing.T, m outputtest.Made) {
		path := m.Dir.Path(files[0])
		disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "qcow2", path)
		outputtest.Compare(t, m, "qcow2", path)
	}})
}

// qm stands in for Proxmox's program, which is in no package: it writes down
// its arguments, one a line, and fails at one of its verbs.
const qm = "#!/bin/sh\nfor word; do printf '%s\\n' \"$word\"; done >> \"$QM_LOG\"\n[ \"$1\" != \"$QM_FAILS\" ]\n"

// run runs the script of an appliance and returns what it asked of qm.
func run(t *testing.T, a output.Appliance, fails string, args ...string) ([]string, string, error) {
	t.Helper()
	m := outputtest.Write(t, outputtest.Format{Format: proxmox.Format{}, Appliance: a}, "1 MiB")
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "qm"), []byte(qm), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(bin, "log")
	cmd := exec.CommandContext(t.Context(), m.Dir.Path(a.Name+"-proxmox.sh"), args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "QM_LOG="+log, "QM_FAILS="+fails)
	out, err := cmd.CombinedOutput()
	text, readErr := os.ReadFile(log)
	if readErr != nil {
		return nil, string(out), err
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), m.Dir.Path(""), "DIR"), "\n"), "\n"), string(out), err
}

func TestScript(t *testing.T) {
	a := outputtest.Appliance()
	a.Name, a.Firmware, a.Description = "hello_jvm.1", "uefi", `It's "$HOME" & more`
	got, out, err := run(t, a, "", "120", "ceph")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		"create", "120", "--name", "hello-jvm-1", "--ostype", "l26", "--machine", "q35", "--cores", "2", "--memory", "250",
		"--bios", "ovmf", "--description", `It's "$HOME" & more`, "--scsihw", "virtio-scsi-single", "--net0", "virtio,bridge=vmbr0",
		"--serial0", "socket", "--vga", "serial0", "--rng0", "source=/dev/urandom",
		"set", "120", "--scsi0", "ceph:0,import-from=DIR/hello_jvm.1-proxmox.qcow2,discard=on", "--boot", "order=scsi0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("qm was asked for something else:\n%s", diff)
	}
}

// TestSeveralDisks imports both disks of a machine whose name a shell would take
// apart.
func TestSeveralDisks(t *testing.T) {
	a := outputtest.Appliance()
	a.Name, a.Description, a.Disks = "it's $(a) \"name\"", "", []disk.Reader{disk.NewMemory(1 << 20)}
	got, out, err := run(t, a, "", "120")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		"set", "120", "--scsi0", "local-lvm:0,import-from=DIR/" + a.Name + "-proxmox.qcow2,discard=on",
		"--scsi1", "local-lvm:0,import-from=DIR/" + a.Name + "-proxmox-disk2.qcow2,discard=on", "--boot", "order=scsi0",
	}
	if diff := cmp.Diff(want, got[max(0, len(got)-len(want)):]); diff != "" {
		t.Errorf("qm was asked for something else:\n%s", diff)
	}
}

// TestScriptFails leaves no machine behind, and touches none that is not its
// own.
func TestScriptFails(t *testing.T) {
	got, _, err := run(t, outputtest.Appliance(), "set", "120")
	if err == nil || len(got) < 2 || !cmp.Equal(got[len(got)-2:], []string{"destroy", "120"}) {
		t.Errorf("%v: %q", err, got)
	}
	if got, _, err := run(t, outputtest.Appliance(), "create", "120"); err == nil || strings.Contains(strings.Join(got, " "), "destroy") {
		t.Errorf("%v: %q", err, got)
	}
	if got, out, err := run(t, outputtest.Appliance(), ""); err == nil || got != nil || !strings.Contains(out, "usage:") {
		t.Errorf("%v: %q, %s", err, got, out)
	}
}
