package ext_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
)

// bases makes small real images, one of them with a journal to replay.
func bases(f *testing.F) [][]byte {
	f.Helper()
	if _, err := exec.LookPath("mke2fs"); err != nil {
		f.Skip("apt-get install e2fsprogs")
	}
	dir := f.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("content ", 3000)), 0o600); err != nil {
		f.Fatal(err)
	}
	var images [][]byte
	for i, args := range []string{
		"-t ext2 -b 1024 300k", "-t ext4 -b 1024 -O ^has_journal,inline_data,metadata_csum -I 256 400k",
		"-t ext4 -b 1024 -O ^has_journal,bigalloc -C 4096 400k", "-t ext4 -b 1024 -J size=1 3m",
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		words := strings.Fields(args)
		size := words[len(words)-1]
		words = append(append([]string{"-q", "-F"}, words[:len(words)-1]...), path, size)
		if out, err := exec.Command("mke2fs", words...).CombinedOutput(); err != nil {
			f.Fatalf("mke2fs %v: %v: %s", words, err, out)
		}
		requests := []string{"write " + text + " file", "mkdir dir", "write " + text + " dir/gone", "rm dir/gone",
			"symlink link target", "ea_set file user.name value"}
		if i == 3 {
			requests = append(requests, "jo", "jw -b 2000,2001 "+text, "jw -r 2001", "jc")
		}
		script := filepath.Join(dir, "script")
		if err := os.WriteFile(script, []byte(strings.Join(requests, "\n")+"\n"), 0o600); err != nil {
			f.Fatal(err)
		}
		if out, err := exec.Command("debugfs", "-w", "-f", script, path).CombinedOutput(); err != nil {
			f.Fatalf("debugfs: %v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, b)
	}
	return images
}

// FuzzDriver changes bytes of real images: whatever they say then ends in an
// error, or in regions that tile the image.
func FuzzDriver(f *testing.F) {
	images := bases(f)
	for i := range images {
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte{0x60, 4, 0, 0, 8, 0})
		f.Add(uint8(i), []byte{0x60, 4, 0, 0, 4, 0, 0x1c, 4, 0, 0, 255, 255})
	}
	f.Fuzz(func(t *testing.T, base uint8, edits []byte) {
		image := images[int(base)%len(images)]
		r := disk.NewMemory(int64(len(image)))
		if _, err := r.WriteAt(image, 0); err != nil {
			t.Fatal(err)
		}
		for ; len(edits) >= 6; edits = edits[6:] {
			off := int64(binary.LittleEndian.Uint32(edits)) % int64(len(image)-2)
			if _, err := r.WriteAt(edits[4:6], off); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		exercise(ctx, t, r)
		if p, err := (ext.Driver{}).Replay(ctx, r); err == nil && p != nil {
			exercise(ctx, t, p)
		}
		if ctx.Err() != nil {
			t.Error("it takes too long")
		}
	})
}

// exercise reads all that there is to read.
func exercise(ctx context.Context, t *testing.T, r disk.Reader) {
	fsys, err := ext.Driver{}.Open(ctx, r)
	if err != nil {
		return
	}
	var end int64
	err = fsys.Regions(ctx, func(g sanitize.Region) error {
		if g.Off != end || g.Len <= 0 {
			t.Fatalf("a region at %s behind byte %d", g.Extent, end)
		}
		end = g.End()
		return nil
	})
	if err != nil {
		return
	}
	if end != r.Size() {
		t.Fatalf("regions end at byte %d of %d", end, r.Size())
	}
	p := make([]byte, 4096)
	w, ok := fsys.(sanitize.Walker)
	if !ok {
		return // the device of a journal
	}
	_ = w.Walk(ctx, func(f sanitize.File) error {
		if f.Open != nil {
			if c, err := f.Open(); err == nil {
				_, _ = c.ReadAt(p, max(f.Size-4096, 0))
			}
		}
		return nil
	})
	_ = fsys.(sanitize.Resealer).Reseal(ctx, disk.NewOverlay(r))
}
