package erofs_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/erofs"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// variants cover the layouts that mkfs.erofs 1.5 writes.
var variants = []struct{ name, args string }{
	{"lz4hc, big pieces", "-zlz4hc,9 -C65536"},
	{"plain", ""},
	{"plain, no inline data", "-Enoinline_data"},
	{"lz4", "-zlz4"},
	{"lz4 legacy", "-zlz4 -Elegacy-compress"},
	{"lz4 inline tails", "-zlz4 -Eztailpacking"},
	{"lz4hc inline tails, big pieces", "-zlz4hc -Eztailpacking -C16384"},
	{"lz4 fragments", "-zlz4 -Efragments"},
	{"lz4 all fragments, deduplicated", "-zlz4hc -Eall-fragments,dedupe -C8192"},
	{"chunks", "--chunksize=16384"},
	{"extended inodes", "-Eforce-inode-extended"},
	{"compact inodes", "-Eforce-inode-compact -T0"},
	{"no checksum", "-Enosbcrc"},
}

// source writes a tree of files that compress well, badly and not at all.
func source(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	text := func(n int) []byte {
		var b bytes.Buffer
		for b.Len() < n {
			b.WriteString(strings.Repeat("word", rng.IntN(9)) + string(rune('a'+rng.IntN(26))) + "\n")
		}
		return b.Bytes()[:n]
	}
	files := map[string][]byte{
		"empty": nil, "tiny": []byte("tiny"), "block": text(4096), "block-and-one": text(4097),
		"text": text(400_123), "zeros": make([]byte, 300_000), "noise": noise(100_001),
		"mixed":    append(append(text(70_000), noise(70_000)...), text(70_001)...),
		"lib/copy": text(50_000),
	}
	files["lib/copy-again"] = files["lib/copy"]
	for i := range 300 {
		files["many/a-file-with-a-longer-name-"+strings.Repeat("n", i%40)+string(rune('a'+i%26))] = text(i * 11)
	}
	for name, b := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"link": "lib/copy", "dangling": strings.Repeat("x/", 200)} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "text"), filepath.Join(root, "hard")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestContract(t *testing.T) {
	fstest.Need(t, "erofs-utils", "mkfs.erofs", "fsck.erofs")
	root := source(t)
	for i, v := range variants {
		if testing.Short() && i%3 != 0 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.Suite{
				Driver: erofs.Driver{},
				Make: func(t *testing.T, path string) {
					fstest.Program(t, "mkfs.erofs", append(strings.Fields(v.args), path, root)...)
				},
				Check: func(t *testing.T, path string) { fstest.Program(t, "fsck.erofs", path) },
				Live: func(t *testing.T, path string) map[string]string {
					dir := filepath.Join(t.TempDir(), "out")
					fstest.Program(t, "fsck.erofs", "--extract="+dir, path)
					return fstest.Files(t, dir)
				},
			}.Run(t)
		})
	}
}
