package parttable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sfdisk makes a disk image with a table, by the real program.
func sfdisk(t testing.TB, script string) *os.File {
	t.Helper()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sfdisk is not installed (Debian package fdisk)")
		}
		t.Skip("sfdisk is not installed (Debian package fdisk)")
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 16<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

const (
	gptScript = `label: gpt
1: start=2048, size=2048, uuid=0B7E8C1A-2D3F-4A5B-8C6D-7E8F90A1B2C3
5: start=8192, size=2048, uuid=5F6A7B8C-9D0E-4F1A-B2C3-D4E5F6A7B8C9
`
	mbrScript = `label: dos
label-id: 0x1a2b3c4d
1: start=2048, size=2048, type=83
3: start=8192, size=2048, type=83
`
)

func TestFind(t *testing.T) {
	gpt, mbr := sfdisk(t, gptScript), sfdisk(t, mbrScript)
	for _, test := range []struct {
		name     string
		disk     *os.File
		partuuid string
		want     int // 0: not found
	}{
		{"first", gpt, "0B7E8C1A-2D3F-4A5B-8C6D-7E8F90A1B2C3", 1},
		{"lower case", gpt, "5f6a7b8c-9d0e-4f1a-b2c3-d4e5f6a7b8c9", 5},
		{"another", gpt, "00000000-0000-0000-0000-000000000001", 0},
		{"an unused entry", gpt, "00000000-0000-0000-0000-000000000000", 0},
		{"MBR name on GPT", gpt, "1a2b3c4d-01", 0},
		{"MBR", mbr, "1A2B3C4D-03", 3},
		{"logical", mbr, "1a2b3c4d-05", 5},
		{"MBR, unused", mbr, "1a2b3c4d-02", 0},
		{"MBR, another disk", mbr, "1a2b3c4e-01", 0},
		{"GPT name on MBR", mbr, "0B7E8C1A-2D3F-4A5B-8C6D-7E8F90A1B2C3", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Find(test.disk, 0, test.partuuid)
			if got != test.want || (test.want == 0) != errors.Is(err, ErrNotFound) {
				t.Errorf("Find = %d, %v; want %d", got, err, test.want)
			}
		})
	}
}

// TestFindLargeBlocks has the table of a disk with blocks of 4096 bytes.
func TestFindLargeBlocks(t *testing.T) {
	disk := make([]byte, 3*4096)
	copy(disk[4096:], "EFI PART")
	binary.LittleEndian.PutUint64(disk[4096+72:], 2)
	binary.LittleEndian.PutUint32(disk[4096+80:], 2)
	binary.LittleEndian.PutUint32(disk[4096+84:], 128)
	entry := disk[2*4096+128:]
	copy(entry, "type............")
	copy(entry[16:], []byte{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15})
	got, err := Find(bytes.NewReader(disk), 4096, "00010203-0405-0607-0809-0a0b0c0d0e0f")
	if err != nil || got != 2 {
		t.Errorf("Find = %d, %v; want 2", got, err)
	}
}

func TestFindRefuses(t *testing.T) {
	huge := make([]byte, 4096)
	copy(huge[512:], "EFI PART")
	binary.LittleEndian.PutUint32(huge[512+80:], 1<<31)
	binary.LittleEndian.PutUint32(huge[512+84:], 128)
	for _, test := range []struct {
		name, partuuid string
		disk           []byte
		block          int64
	}{
		{"no name", "root", nil, 512},
		{"short GUID", "0B7E8C1A-2D3F-4A5B-8C6D", nil, 512},
		{"partition 0", "1a2b3c4d-00", nil, 512},
		{"block size", "1a2b3c4d-01", nil, 1},
		{"empty disk", "1a2b3c4d-01", nil, 512},
		{"too many entries", "0B7E8C1A-2D3F-4A5B-8C6D-7E8F90A1B2C3", huge, 512},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Find(bytes.NewReader(test.disk), test.block, test.partuuid)
			if err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("Find = %d, %v; want an error", got, err)
			}
		})
	}
}

func FuzzFind(f *testing.F) {
	head := make([]byte, 34*512)
	if _, err := sfdisk(f, gptScript).ReadAt(head, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(head, int64(512), "5f6a7b8c-9d0e-4f1a-b2c3-d4e5f6a7b8c9")
	if _, err := sfdisk(f, mbrScript).ReadAt(head, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(head[:512], int64(512), "1a2b3c4d-03")
	f.Fuzz(func(t *testing.T, disk []byte, block int64, partuuid string) {
		n, err := Find(bytes.NewReader(disk), block, partuuid)
		if err == nil && (n < 1 || n > maxEntries) || err != nil && n != 0 {
			t.Errorf("Find = %d, %v", n, err)
		}
	})
}
