package ntfs_test

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// seed makes a small volume with mkntfs and ntfscp, which need no mount.
func seed(f *testing.F) []byte {
	f.Helper()
	if _, err := exec.LookPath("mkntfs"); err != nil {
		f.Skip("mkntfs is missing: install the Debian package ntfs-3g")
	}
	dir := f.TempDir()
	path, file := filepath.Join(dir, "volume"), filepath.Join(dir, "file")
	if err := os.WriteFile(path, make([]byte, 3<<19), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(file, text("content", 5000), 0o600); err != nil {
		f.Fatal(err)
	}
	for _, argv := range [][]string{
		{"mkntfs", "-F", "-q", "-Q", "-c", "512", "-L", "label", path},
		{"ntfscp", path, file, "/file"},
		{"ntfscp", "-N", "stream", path, file, "/file"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			f.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// edited is a volume with some bytes changed.
type edited struct {
	base  []byte
	bytes map[int64]byte
}

func (e edited) Size() int64 { return int64(len(e.base)) }

func (e edited) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= e.Size() {
		return 0, io.EOF
	}
	n := copy(p, e.base[off:])
	for at, b := range e.bytes {
		if at >= off && at < off+int64(n) {
			p[at-off] = b
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (e edited) whole() []byte {
	b := append([]byte(nil), e.base...)
	for at, v := range e.bytes {
		b[at] = v
	}
	return b
}

func (e edited) NextData(off int64) (disk.Extent, error) {
	if off < 0 || off >= e.Size() {
		return disk.Extent{}, io.EOF
	}
	return disk.Extent{Off: off, Len: e.Size() - off}, nil
}

// FuzzVolume changes bytes of the metadata of a volume: three bytes of an
// input choose one, the fourth is what it becomes.
func FuzzVolume(f *testing.F) {
	base := seed(f)
	l, err := sanitize.Read(context.Background(), edited{base: base}, []sanitize.Driver{ntfs.Driver{}}, sanitize.ReadOptions{})
	if err != nil {
		f.Fatal(err)
	}
	var targets []int64
	for _, g := range l.Regions {
		switch g.Owner {
		case "/$UpCase", "/$LogFile", "/$AttrDef", "/$Secure:$SDS", "/file", "/file:stream":
			continue // content, which nothing depends on
		}
		for off := g.Off; off < g.End() && !g.Class.Dead(); off++ {
			if base[off] != 0 || off%4 == 0 {
				targets = append(targets, off)
			}
		}
	}
	for i := 0; i+4 < len(targets); i += len(targets) / 64 {
		f.Add(binary.LittleEndian.AppendUint32(nil, uint32(i)|0xff<<24))
		f.Add(binary.LittleEndian.AppendUint32(nil, uint32(i)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e := edited{base: base, bytes: map[int64]byte{}}
		for ; len(in) >= 4 && len(e.bytes) < 64; in = in[4:] {
			at := binary.LittleEndian.Uint32(in) & 0xffffff
			e.bytes[targets[int(at)%len(targets)]] = in[3]
		}
		ctx := context.Background()
		l, err := sanitize.Read(ctx, e, []sanitize.Driver{ntfs.Driver{}}, sanitize.ReadOptions{})
		if err != nil || l.Volumes[0].Driver == "" {
			return
		}
		if r, ok := l.Volumes[0].Rememberer(); ok {
			_ = r.Remnants(ctx, func(sanitize.Remnant) error { return nil })
		}
		d := disk.NewMemory(e.Size())
		if _, err := d.WriteAt(e.whole(), 0); err != nil {
			t.Fatal(err)
		}
		// A file may still be damaged, which its reader finds.
		_, err = sanitize.Scrub(ctx, d, sanitize.Options{Drivers: []sanitize.Driver{ntfs.Driver{}}})
		if fault.KindOf(err) == fault.Residue {
			t.Fatal(err)
		}
	})
}

// FuzzDecompress decompresses anything.
func FuzzDecompress(f *testing.F) {
	f.Add([]byte{0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41}, uint16(100))
	f.Fuzz(func(t *testing.T, in []byte, n uint16) {
		plain := make([]byte, n)
		if ntfs.Decompress(plain, in) != nil {
			return
		}
		used, err := ntfs.StreamLen(in, int(n))
		if err != nil {
			t.Fatalf("a stream that can be decompressed has no length: %v", err)
		}
		// Zeros behind that length must not change what is read.
		again, cut := make([]byte, n), make([]byte, len(in))
		copy(cut, in[:used])
		if err := ntfs.Decompress(again, cut); err != nil || string(again) != string(plain) {
			t.Fatalf("with zeros behind byte %d: %q where %q was, %v", used, again, plain, err)
		}
		if more, err := ntfs.StreamLen(cut, int(n)); err != nil || more > used {
			t.Fatalf("the stream of %d bytes has %d when cut: %v", used, more, err)
		}
	})
}
