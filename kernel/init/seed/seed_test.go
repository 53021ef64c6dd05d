package seed

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const uuid = "5f6a7b8c-9d0e-4f1a-b2c3-d4e5f6a7b8c9"

// made is a filesystem of 4 MiB by mke2fs, and its seed.
func made(t testing.TB) (image, packed []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 4<<20)); err != nil {
		t.Fatal(err)
	}
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-U", uuid, "-E", "lazy_itable_init=0,nodiscard", path)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Pack(&out, bytes.NewReader(image), int64(len(image))); err != nil {
		t.Fatal(err)
	}
	return image, out.Bytes()
}

// tool runs a program of e2fsprogs.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed (Debian package e2fsprogs)", name)
		}
		t.Skipf("%s is not installed (Debian package e2fsprogs)", name)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// unsteady is a disk whose power fails: after a number of sectors. Of what was
// written since the last sync then each sector may be there or not.
type unsteady struct {
	medium []byte
	cache  map[int64][]byte // sectors, by offset
	left   int              // sectors
}

var errCut = errors.New("the power failed")

func (d *unsteady) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(d.medium).ReadAt(b, at)
}

func (d *unsteady) WriteAt(b []byte, at int64) (int, error) {
	for off := 0; off < len(b); off += sector {
		if d.left == 0 {
			return off, errCut
		}
		d.left--
		d.cache[at+int64(off)] = b[off : off+sector]
	}
	return len(b), nil
}

func (d *unsteady) Sync() error {
	for at, b := range d.cache {
		copy(d.medium[at:], b)
	}
	clear(d.cache)
	return nil
}

// fail loses some of what was not synced.
func (d *unsteady) fail(random *rand.Rand) {
	for at, b := range d.cache {
		if random.IntN(2) == 0 {
			copy(d.medium[at:], b)
		}
	}
	clear(d.cache)
}

// TestSowOutlivesCuts cuts the power after each number of sectors. A disk on
// which anything is must then be known as begun, never taken for something
// else, and never for made unless it is.
func TestSowOutlivesCuts(t *testing.T) {
	image, packed := made(t)
	s, err := Read(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 5))
	whole := &unsteady{medium: make([]byte, len(image)), cache: map[int64][]byte{}, left: 1 << 30}
	if err := s.Sow(whole); err != nil || !bytes.Equal(whole.medium, image) {
		t.Fatalf("without a cut: %v, the same bytes: %v", err, bytes.Equal(whole.medium, image))
	}
	sectors := 1<<30 - whole.left
	var seen [3]int
	medium := make([]byte, len(image))
	for cut := range sectors {
		clear(medium)
		d := &unsteady{medium: medium, cache: map[int64][]byte{}, left: cut}
		if err := s.Sow(d); !errors.Is(err, errCut) {
			t.Fatalf("cut after %d sectors: %v", cut, err)
		}
		d.fail(random)
		found, err := Look(d, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen[found]++
		switch found {
		case Other:
			if blank, err := Blank(d, int64(len(medium))); err != nil || !blank {
				t.Fatalf("cut after %d sectors: the disk is neither blank nor begun (%v)", cut, err)
			}
		case Made:
			if !bytes.Equal(medium, image) {
				t.Fatalf("cut after %d sectors: the disk is taken for made", cut)
			}
		}
		d.left = 1 << 30
		if err := s.Sow(d); err != nil || !bytes.Equal(medium, image) {
			t.Fatalf("sown again after a cut after %d sectors: %v", cut, err)
		}
	}
	if seen[Begun] < sectors/2 {
		t.Errorf("of %d cuts %v were blank, begun and made", sectors, seen)
	}
}

// TestSowIsClean lets e2fsck judge what Sow makes on a disk larger than the
// seed.
func TestSowIsClean(t *testing.T) {
	_, packed := made(t)
	s, err := Read(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 64<<20)); err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := s.Sow(disk); err != nil {
		t.Fatal(err)
	}
	tool(t, "e2fsck", "-fn", path)
	if found, err := Look(disk, s.ID); found != Made || err != nil {
		t.Errorf("Look = %v, %v", found, err)
	}
	other := s.ID
	other[0]++
	if found, err := Look(disk, other); found != Other || err != nil {
		t.Errorf("Look for another = %v, %v", found, err)
	}
}

// TestBlank has one byte at places where something could begin or end.
func TestBlank(t *testing.T) {
	for _, size := range []int64{sector, 1 << 20, 3<<30 + sector} {
		if testing.Short() && size > samples*sample {
			continue // reads 650 MiB
		}
		places := []int64{-1, 0, size / 3 / sample * sample, size - 1}
		if size > headSpan {
			places = append(places, headSpan-1, size-tailSpan)
		}
		for _, at := range places {
			path := filepath.Join(t.TempDir(), "disk")
			if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
				t.Fatal(err)
			}
			disk, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if at >= 0 {
				// A filesystem of a disk this large has more than one byte.
				if _, err := disk.WriteAt(bytes.Repeat([]byte{1}, int(min(size-at, size/1000+1))), at); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Blank(disk, size)
			if err != nil || got != (at < 0) {
				t.Errorf("%d bytes, something at %d: Blank = %v, %v", size, at, got, err)
			}
			disk.Close()
			os.Remove(path)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	_, packed := made(t)
	for _, test := range []struct {
		name, want string
		change     func([]byte) []byte
	}{
		{"nothing", "EOF", func([]byte) []byte { return nil }},
		{"another file", "begin", func(b []byte) []byte { b[0] = 'x'; return b }},
		{"no size", "begin", func(b []byte) []byte { clear(b[len(magic):][:8]); return b }},
		{"a size too large", "begin", func(b []byte) []byte { b[len(magic)+5] = 1; return b }},
		{"no blocks", "begin", func(b []byte) []byte { clear(b[len(magic)+8:][:8]); return b }},
		{"a block outside", "out of place", func(b []byte) []byte { b[len(magic)+16+6] = 1; return b }},
		{"a block twice", "out of place", func(b []byte) []byte { b[len(magic)+16+8+BlockSize] = 0; return b }},
		{"a changed byte", "checksum", func(b []byte) []byte { b[3*BlockSize]++; return b }},
		{"a missing end", "EOF", func(b []byte) []byte { return b[:len(b)-1] }},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(test.change(slices.Clone(packed))))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read: %v, want %q", err, test.want)
			}
		})
	}
}

func TestPackRefuses(t *testing.T) {
	for name, image := range map[string][]byte{
		"size":   make([]byte, BlockSize+1),
		"blocks": bytes.Repeat([]byte{1}, (maxBlocks+1)*BlockSize),
	} {
		if err := Pack(&bytes.Buffer{}, bytes.NewReader(image), int64(len(image))); err == nil {
			t.Errorf("%s: packed", name)
		}
	}
}

// FuzzRead sows whatever can be read, which must stay within the seed's size.
func FuzzRead(f *testing.F) {
	_, packed := made(f)
	f.Add(packed)
	f.Add(packed[:len(magic)+16+8+BlockSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		d := &unsteady{medium: make([]byte, s.Size), cache: map[int64][]byte{}, left: 1 << 30}
		if err := s.Sow(d); err != nil {
			t.Fatal(err)
		}
		if found, err := Look(d, s.ID); found != Made || err != nil {
			t.Errorf("Look = %v, %v", found, err)
		}
	})
}
