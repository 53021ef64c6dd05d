package azure_test

import (
	"io"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/output/azure"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: azure.Format{}, Files: []string{"hello-jvm-azure.vhd"}, Check: check})
}

// check lets qemu-img compare, and holds the size to what Azure documents:
// whole MiB, 20 of them at least, and the footer's 512 bytes.
func check(t *testing.T, m outputtest.Made) {
	const mib = 1 << 20
	path := m.Dir.Path("hello-jvm-azure.vhd")
	outputtest.Compare(t, m, "vpc", path)
	content := m.Files[0].Size - 512
	want := max(20*mib, (m.Disk.Size()+mib-1)/mib*mib)
	if content != want {
		t.Errorf("the content has %d bytes, want %d", content, want)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	footer, err := io.ReadAll(io.NewSectionReader(f, content, 512))
	if err != nil || string(footer[:8]) != "conectix" || footer[63] != 2 {
		t.Errorf("the last sector is no footer of a fixed disk: %q, %v", footer[:8], err)
	}
}
