package vagrant_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/vagrant"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: vagrant.Format{}, Files: []string{"hello-jvm.box"}, Check: check})
}

// check lets tar unpack the box, Ruby parse its Vagrantfile, and qemu-img
// judge the disk.
func check(t *testing.T, m outputtest.Made) {
	dir := t.TempDir()
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-xf", m.Dir.Path("hello-jvm.box"), "-C", dir)
	disktest.Run(t, disktest.Program(t, "ruby", "ruby"), "-c", filepath.Join(dir, "Vagrantfile"))
	image := filepath.Join(dir, "box.img")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "qcow2", image)
	outputtest.Compare(t, m, "qcow2", image)
}

// TestVagrant lets Vagrant itself take the box into a home of its own.
func TestVagrant(t *testing.T) {
	if testing.Short() {
		t.Skip("Vagrant takes seconds to start")
	}
	program := disktest.Program(t, "vagrant", "vagrant")
	m := outputtest.Write(t, outputtest.Format{Format: vagrant.Format{}}, "mixed")
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "box", "add", "--name", "hello", m.Dir.Path("hello-jvm.box"))
	cmd.Env = append(os.Environ(), "VAGRANT_HOME="+home, "VAGRANT_CHECKPOINT_DISABLE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("vagrant: %v\n%s", err, out)
	}
	outputtest.Compare(t, m, "qcow2", filepath.Join(home, "boxes", "hello", "0", "libvirt", "box.img"))
}
