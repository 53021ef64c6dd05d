package packed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/packed"
)

// programs unpack each kind.
var programs = map[packed.Kind][2]string{packed.XZ: {"xz", "xz-utils"}, packed.Zstd: {"zstd", "zstd"}, packed.Gzip: {"gzip", "gzip"}}

const limit = 1 << 40

func TestFormat(t *testing.T) {
	for _, kind := range packed.Kinds() {
		slow := int64(1 << 32)
		if testing.Short() {
			slow = 5 << 20
		}
		t.Run(string(kind), func(t *testing.T) {
			disktest.TestFormat(t, disktest.Format{
				Create: func(f *os.File, size int64) (disk.Sink, error) { return packed.Create(f, size, kind) },
				Open: func(f *os.File, n int64) (disk.Reader, error) {
					d, err := packed.Open(t.Context(), f, n, limit, nil)
					if err == nil {
						t.Cleanup(func() { d.Close() })
					}
					return d, err
				},
				Check: func(t *testing.T, path string, want disk.Reader) { judge(t, kind, path, want) },
				Slow:  slow,
			})
		})
	}
}

// judge unpacks with the usual program, and lets nbdkit read here and there.
func judge(t *testing.T, kind packed.Kind, path string, want disk.Reader) {
	program := disktest.Program(t, programs[kind][0], programs[kind][1])
	cmd := exec.Command("sh", "-c", `"$1" -dc < "$2" > "$2.out"`, "sh", program, path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	got, err := disk.OpenFile(path + ".out")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if err := disktest.Diff(got, want); err != nil || got.Size() != want.Size() {
		t.Errorf("%s makes %d bytes of it: %v", program, got.Size(), err)
	}
	if kind == packed.XZ && want.Size() > 0 && want.Size()%512 == 0 {
		disktest.Run(t, disktest.Program(t, "nbdkit", "nbdkit"), "-r", "-U", "-", "file", path, "--filter=xz",
			"--run", `qemu-img compare -f raw -F raw "$uri" `+disktest.RawFile(t, want))
	}
}

// TestReadsOthers reads what the usual programs write, and a file of several
// streams.
func TestReadsOthers(t *testing.T) {
	for _, s := range disktest.Samples() {
		if s.Name != "odd size" && (s.Name != "mixed" || testing.Short()) {
			continue
		}
		raw := filepath.Join(t.TempDir(), "raw")
		f, err := disk.CreateFile(raw, s.Disk.Size())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(disk.Copy(t.Context(), s.Disk, nil, f), f.Close()); err != nil {
			t.Fatal(err)
		}
		for kind, commands := range map[packed.Kind][]string{
			packed.XZ:   {"xz -0 -c $1", "xz -6 -T2 --block-size=1MiB -c $1", "xz --check=sha256 -c $1", "head -c 1000000 $1 | xz -c && tail -c +1000001 $1 | xz -c"},
			packed.Zstd: {"zstd -c $1", "zstd -19 --long=26 -c $1", "head -c 1000000 $1 | zstd -c && tail -c +1000001 $1 | zstd -c"},
			packed.Gzip: {"gzip -1 -c $1", "gzip -9 -c $1", "head -c 1000000 $1 | gzip -c && tail -c +1000001 $1 | gzip -c"},
		} {
			disktest.Program(t, programs[kind][0], programs[kind][1])
			for _, command := range commands {
				out, err := exec.Command("sh", "-c", command, "sh", raw).Output()
				if err != nil {
					t.Fatal(err)
				}
				var last int64
				d, err := packed.Open(t.Context(), bytes.NewReader(out), int64(len(out)), limit, func(done int64) { last = done })
				if err != nil {
					t.Fatalf("%s: %v", command, err)
				}
				disktest.TestReader(t, d, s.Disk)
				if last != int64(len(out)) {
					t.Errorf("%s: the progress ended at %d of %d", command, last, len(out))
				}
				d.Close()
			}
		}
	}
}

// TestLarge writes disks of 9 GiB and, when asked to be thorough, of 2 TiB, whose
// holes must cost next to nothing. The programs tell the size by the index.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("writes hundreds of MiB")
	}
	for _, s := range disktest.Samples() {
		if s.Name != "9 GiB" && (s.Name != "2 TiB" || os.Getenv("IMGBUILD_TEST_SLOW") == "") {
			continue
		}
		for kind, list := range map[packed.Kind]string{packed.XZ: "--robot --list", packed.Zstd: "--list -v"} {
			path := filepath.Join(t.TempDir(), "disk."+string(kind))
			write(t, path, s.Disk, kind)
			program := disktest.Program(t, programs[kind][0], programs[kind][1])
			out := disktest.Run(t, program, append(strings.Fields(list), path)...)
			if !strings.Contains(out, fmt.Sprint(s.Disk.Size())) {
				t.Errorf("%s of %s:\n%s", program, s.Name, out)
			}
		}
	}
}

func write(t testing.TB, path string, d disk.Reader, kind packed.Kind) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := packed.Create(f, d.Size(), kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.Copy(t.Context(), d, nil, sink), sink.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// encode returns the stream of a small disk.
func encode(t testing.TB, kind packed.Kind) []byte {
	t.Helper()
	d := disk.NewMemory(6 << 20)
	if _, err := d.WriteAt([]byte(strings.Repeat("imgbuild", 10_000)), 5<<20); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	write(t, path, d, kind)
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDamage(t *testing.T) {
	for _, kind := range packed.Kinds() {
		good := encode(t, kind)
		for name, change := range map[string]func([]byte) []byte{
			"cut":      func(p []byte) []byte { return p[:len(p)/2] },
			"short":    func(p []byte) []byte { return p[:3] },
			"a byte":   func(p []byte) []byte { p[len(p)/3] ^= 1; return p },
			"no magic": func(p []byte) []byte { p[0]++; return p },
		} {
			p := change(bytes.Clone(good))
			if d, err := packed.Open(t.Context(), bytes.NewReader(p), int64(len(p)), limit, nil); err == nil {
				d.Close()
				t.Errorf("%s, %s: opened", kind, name)
			}
		}
		if _, err := packed.Open(t.Context(), bytes.NewReader(good), int64(len(good)), 6<<20-1, nil); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("%s beyond the limit: %v", kind, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := packed.Open(ctx, bytes.NewReader(good), int64(len(good)), limit, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, interrupted: %v", kind, err)
		}
	}
	if _, err := packed.Create(os.Stdout, 1, "lzma"); err == nil {
		t.Error("an unknown kind passed")
	}
}

// TestNothingLeft unpacks into a folder that must be empty then.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	p := encode(t, packed.Gzip)
	d, err := packed.Open(t.Context(), bytes.NewReader(p), int64(len(p)), limit, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	left, err := filepath.Glob(filepath.Join(dir, "imgbuild-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left are %q (%v)", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, kind := range packed.Kinds() {
		f.Add(encode(f, kind))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		d, err := packed.Open(t.Context(), bytes.NewReader(p), int64(len(p)), 16<<20, nil)
		if err != nil {
			return
		}
		disktest.Walk(t, d)
		d.Close()
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, s := range disktest.Samples() {
		if s.Name != "mixed" {
			continue
		}
		for _, kind := range packed.Kinds() {
			b.Run(string(kind), func(b *testing.B) {
				b.SetBytes(s.Disk.Size())
				for b.Loop() {
					write(b, filepath.Join(b.TempDir(), "disk"), s.Disk, kind)
				}
			})
		}
	}
}
