package xfs_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// FuzzOpen reads damaged images of both versions.
func FuzzOpen(f *testing.F) {
	need(f)
	var images []string
	for i, args := range []string{"-m rmapbt=1 -n size=8192", "-m crc=0,finobt=0 -b size=1024"} {
		path := filepath.Join(f.TempDir(), fmt.Sprint(i))
		mkfs(f, path, 32, args)
		if !mounted(f, path, "nouuid", func(dir string) { shell(f, dir, populate) }) {
			prototype(f, path, 32, args, sources(f, i == 0))
		}
		images = append(images, path)
	}
	fstest.Fuzz(f, xfs.Driver{}, images...)
}
