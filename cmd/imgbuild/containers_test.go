package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/vm/matrix"
)

// TestContainersBoot boots an appliance from each container that QEMU reads, to
// the answer of its JVM. QEMU opens the files itself: it is the judge of what is
// in them. The VMDK is the one of the OVA.
func TestContainersBoot(t *testing.T) {
	recipe, out := filepath.Join(readyRecipes(t), "hello-jvm.yaml"), t.TempDir()
	imgbuild(t, "build", recipe, "-o", out, "--set", "outputs=[qcow2, ova, vhd, vhdx]")
	tar := disktest.Program(t, "tar", "tar")
	disktest.Run(t, tar, "-C", out, "-xf", filepath.Join(out, "hello-jvm.ova"), "hello-jvm-disk1.vmdk")
	if err := os.Rename(filepath.Join(out, "hello-jvm-disk1.vmdk"), filepath.Join(out, "hello-jvm.vmdk")); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"qcow2", "vmdk", "vhd", "vhdx"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel() // an emulated machine takes one processor
			var report matrix.Result
			text := imgbuild(t, "test", filepath.Join(out, "hello-jvm."+format), "--on", "bios", "--json")
			if err := json.Unmarshal(text, &report); err != nil {
				t.Fatal(err)
			}
			if !report.OK || len(report.Runs) != 1 || len(report.Runs[0].Results) < 2 {
				t.Errorf("the report is %s", text)
			}
		})
	}
}
