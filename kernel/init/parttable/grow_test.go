package parttable

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const growUUID = "5f6a7b8c-9d0e-4f1a-b2c3-d4e5f6a7b8c9"

// gptDisk makes a disk with sfdisk and enlarges it.
func gptDisk(t testing.TB, script string, enlarged int64) *os.File {
	t.Helper()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("apt-get install fdisk")
		}
		t.Skip("apt-get install fdisk")
	}
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(16 << 20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	if err := f.Truncate(enlarged); err != nil {
		t.Fatal(err)
	}
	return f
}

const growable = "label: gpt\n1: start=2048, size=8192\n3: start=10240, size=8192, uuid=" + growUUID + "\n"

// judge lets sfdisk and, when it is there, sgdisk check a disk.
func judge(t *testing.T, path string) {
	t.Helper()
	if out, err := exec.Command("sfdisk", "--verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "corrupt") {
		t.Errorf("sfdisk: %v: %s", err, out)
	}
	if sgdisk, err := exec.LookPath("sgdisk"); err == nil {
		if out, err := exec.Command(sgdisk, "-v", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
			t.Errorf("sgdisk: %v: %s", err, out)
		}
	}
}

func TestGrow(t *testing.T) {
	for _, size := range []int64{17 << 20, 17<<20 + 512, 64 << 20, 3 << 40} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := gptDisk(t, growable, size)
			got, grown, err := Grow(f, size, 512, strings.ToUpper(growUUID))
			if err != nil {
				t.Fatal(err)
			}
			end := got.Start + got.Length
			if !grown || got.Start != 10240*512 || end%Growth != 0 || end > size || size-end > 2*Growth {
				t.Errorf("of %d bytes it takes %+v, grown %v", size, got, grown)
			}
			judge(t, f.Name())
			if again, grown, err := Grow(f, size, 512, growUUID); grown || err != nil || again != got {
				t.Errorf("again: %+v, %v, %v", again, grown, err)
			}
			if n, err := Find(f, 512, growUUID); n != 3 || err != nil {
				t.Errorf("found as %d, %v", n, err)
			}
		})
	}
}

// What must not grow is not written to.
func TestGrowLeavesAlone(t *testing.T) {
	behind := "label: gpt\n3: start=2048, size=8192, uuid=" + growUUID + "\n1: start=10240, size=8192\n"
	mbr := "label: dos\n1: start=2048, size=8192\n"
	for name, c := range map[string]struct {
		script string
		size   int64
		block  int64
		fails  bool
	}{
		"no room":      {"label: gpt\n3: start=2048, uuid=" + growUUID + "\n", 16 << 20, 512, false},
		"one behind":   {behind, 64 << 20, 512, false},
		"4096 bytes":   {growable, 64 << 20, 4096, false},
		"mbr":          {mbr, 64 << 20, 512, true},
		"not the disk": {"label: gpt\n1: start=2048, size=8192\n", 64 << 20, 512, true},
	} {
		f := gptDisk(t, c.script, c.size)
		before, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		_, grown, err := Grow(f, c.size, c.block, growUUID)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		after, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if grown || !bytes.Equal(before, after) {
			t.Errorf("%s: grown %v", name, grown)
		}
	}
}

// cutDisk loses its power after some writes.
type cutDisk struct {
	*os.File
	left int
}

var errCut = errors.New("power cut")

func (c *cutDisk) WriteAt(b []byte, off int64) (int, error) {
	if c.left--; c.left < 0 {
		return 0, errCut
	}
	return c.File.WriteAt(b, off)
}

// After a cut at any write the primary table is whole, and growing again works.
func TestGrowPowerCut(t *testing.T) {
	for writes := range 3 {
		f := gptDisk(t, growable, 64<<20)
		_, grown, err := Grow(&cutDisk{f, writes}, 64<<20, 512, growUUID)
		if writes < 2 && !errors.Is(err, errCut) || writes == 2 && (err != nil || !grown) {
			t.Fatalf("%d writes: %v, %v", writes, grown, err)
		}
		if _, err := readTable(f, 64<<20); err != nil {
			t.Errorf("after %d writes: %v", writes, err)
		}
		if _, _, err := Grow(f, 64<<20, 512, growUUID); err != nil {
			t.Errorf("after %d writes: %v", writes, err)
		}
		judge(t, f.Name())
	}
}

func FuzzGrow(f *testing.F) {
	f.Add(make([]byte, 8192), int64(1<<20))
	if _, err := exec.LookPath("sfdisk"); err == nil {
		disk, err := os.ReadFile(gptDisk(f, growable, 16<<20).Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(disk[:34*512], int64(64<<20))
	}
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		path := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		// Enlarging a sparse file is free, up to what the host can have.
		Grow(file, size&(1<<40-1), 512, growUUID)
	})
}
