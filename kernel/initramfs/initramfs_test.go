package initramfs_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/initramfs"
)

func TestBest(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   kernel.Compression
	}{
		{map[string]string{"RD_ZSTD": "y", "RD_GZIP": "y"}, kernel.Zstd},
		{map[string]string{"RD_GZIP": "y"}, kernel.Gzip},
		{map[string]string{"RD_ZSTD": "n"}, kernel.Uncompressed},
		{nil, kernel.Uncompressed},
	} {
		if got := initramfs.Best(c.config); got != c.want {
			t.Errorf("%v: %s, want %s", c.config, got, c.want)
		}
	}
}

// TestArchives lets cpio list what was written.
func TestArchives(t *testing.T) {
	cpio := disktest.Program(t, "cpio", "cpio")
	for c, unpack := range map[kernel.Compression][2]string{
		"": {"cat", "coreutils"}, kernel.Zstd: {"zstdcat", "zstd"}, kernel.Gzip: {"zcat", "gzip"},
	} {
		var b bytes.Buffer
		a, err := initramfs.New(&b, c)
		if err != nil {
			t.Fatal(err)
		}
		a.Console()
		a.File("etc/deep/file", []byte("text"), 0o640)
		a.File("etc/other", nil, 0o644)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		program := exec.Command("sh", "-c", disktest.Program(t, unpack[0], unpack[1])+" | "+cpio+" -tv --quiet --numeric-uid-gid")
		program.Stdin = &b
		out, err := program.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
		var names []string
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			names = append(names, f[0]+" "+f[len(f)-1])
		}
		want := "drwxr-xr-x dev,crw------- dev/console,drwxr-xr-x etc,drwxr-xr-x etc/deep,-rw-r----- etc/deep/file,-rw-r--r-- etc/other"
		if got := strings.Join(names, ","); got != want {
			t.Errorf("%q: %s\nwant %s", c, got, want)
		}
	}
	if _, err := initramfs.New(nil, kernel.LZ4); err == nil {
		t.Error("an archive in LZ4 was begun")
	}
}
