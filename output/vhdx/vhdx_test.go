package vhdx_test

import (
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/vhdx"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: vhdx.Format{}, Files: []string{"hello-jvm.vhdx"}, Check: check})
}

// check lets qemu-img judge.
func check(t *testing.T, m outputtest.Made) {
	t.Helper()
	path := m.Dir.Path("hello-jvm.vhdx")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "vhdx", path)
	outputtest.Compare(t, m, "vhdx", path)
}
