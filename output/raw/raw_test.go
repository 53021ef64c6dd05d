package raw_test

import (
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/raw"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: raw.Format{}, Files: []string{"hello-jvm.raw"}, Check: check})
}

// check reads the file back; holes must have stayed holes.
func check(t *testing.T, m outputtest.Made) {
	d, err := disk.OpenFile(m.Dir.Path("hello-jvm.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	disktest.TestReader(t, d, m.Disk)
	var data int64
	for e, err := range disk.DataExtents(m.Disk) {
		if err != nil {
			t.Fatal(err)
		}
		data += e.Len + disk.BlockSize
	}
	if m.Files[0].Allocated > data+64<<10 {
		t.Errorf("%d bytes are allocated for %d of data", m.Files[0].Allocated, data)
	}
}
