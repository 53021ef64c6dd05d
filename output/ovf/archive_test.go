package ovf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/members"
)

// TestLargeMember writes headers about the size that octal digits can hold;
// GNU tar and our own reader must agree on what follows.
func TestLargeMember(t *testing.T) {
	tar := disktest.Program(t, "tar", "tar")
	for _, size := range []int64{ustarLimit - 1, ustarLimit, 9<<30 + 512, 1 << 40} {
		var head bytes.Buffer
		if err := writeHeader(&head, "disk.vmdk", size, time.Unix(1_000_000_000, 0)); err != nil {
			t.Fatal(err)
		}
		if head.Len() != tarBlock {
			t.Errorf("the header of %d bytes takes %d", size, head.Len())
		}
		path := filepath.Join(t.TempDir(), "ova")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(head.Bytes()); err != nil {
			t.Fatal(err)
		}
		end := tarBlock + blocks(size) + 2*tarBlock
		if err := f.Truncate(end); err != nil {
			t.Fatal(err)
		}
		if out := disktest.Run(t, tar, "-tvf", path); !strings.Contains(out, fmt.Sprintf(" %d ", size)) {
			t.Errorf("tar says of %d bytes:\n%s", size, out)
		}
		list, err := members.Index(f, end)
		if err != nil || len(list) != 1 || list[0] != (members.Member{Name: "disk.vmdk", Off: tarBlock, Size: size}) {
			t.Errorf("%d bytes: %+v, %v", size, list, err)
		}
	}
}
