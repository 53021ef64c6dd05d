package btrfs_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/btrfs"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// FuzzOpen reads damaged images, one of them with trees of several levels.
func FuzzOpen(f *testing.F) {
	need(f)
	tree := f.TempDir()
	shell(f, tree, `mkdir -p etc many; echo one > etc/one; seq 9000 > etc/two; ln -s two etc/three
		for i in $(seq 400); do echo $i > many/one-of-a-great-many-files-$i; done`)
	var images []string
	for i, args := range []string{"-m single", "-n 4096 --mixed"} {
		path := filepath.Join(f.TempDir(), fmt.Sprint(i))
		mkfs(f, path, 64, args+" --rootdir "+tree)
		mounted(f, path, "compress-force=lzo", func(dir string) { shell(f, dir, populate) })
		images = append(images, path)
	}
	fstest.Fuzz(f, btrfs.Driver{}, images...)
}
