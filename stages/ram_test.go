package stages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/initramfs"
)

// packRAM puts a tree into an archive that is not compressed.
func packRAM(t *testing.T, tree string) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := initramfs.New(&b, "")
	if err != nil {
		t.Fatal(err)
	}
	r := ramRoot{archive: a, tree: tree, owners: ownership{"/data": {1000, 1001}}, time: 315532800}
	if err := r.write(t.Context(), []byte("changed\n")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRAMRoot lets cpio list a root and unpack a file of it.
func TestRAMRoot(t *testing.T) {
	cpio := disktest.Program(t, "cpio", "cpio")
	tree := t.TempDir()
	for name, text := range map[string]string{"init": "program", "etc/empty": "", config.Path[1:]: "as on a disk\n"} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Chmod(filepath.Join(tree, "init"), 0o755|os.ModeSetuid), os.Mkdir(filepath.Join(tree, "data"), 0o700), os.Symlink("/init", filepath.Join(tree, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	packed := packRAM(t, tree)
	if !bytes.Equal(packed, packRAM(t, tree)) {
		t.Error("the second time it is another archive")
	}
	run := func(args ...string) string {
		cmd := exec.Command(cpio, args...)
		cmd.Stdin = bytes.NewReader(packed)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("cpio %q: %v", args, err)
		}
		return string(out)
	}
	t.Setenv("TZ", "UTC")
	list := run("-tv", "--numeric-uid-gid")
	got := regexp.MustCompile(`(?m)^(\S+) +\d+ (\d+) +(\d+) .* (\d{4}) (\S+)( -> \S+)?$`).ReplaceAllString(list, "$1 $2:$3 $4 $5$6")
	want := strings.Join([]string{
		"drwx------ 1000:1001 1980 data", "drwxr-xr-x 0:0 1980 etc", "-rw-r--r-- 0:0 1980 etc/empty",
		"drwxr-xr-x 0:0 1980 etc/imgbuild", "-rw-r--r-- 0:0 1980 etc/imgbuild/guest.json", "-rwsr-xr-x 0:0 1980 init",
		"lrwxrwxrwx 0:0 1980 link -> /init", "-rw-r--r-- 0:0 1980 etc/imgbuild/ram.json",
		"drwxr-xr-x 0:0 1970 dev", "crw------- 0:0 1970 dev/console", "",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cpio lists:\n%s\n%s", diff, list)
	}
	if text := run("-i", "--to-stdout", "etc/imgbuild/guest.json"); text != "changed\n" {
		t.Errorf("init's configuration is %q", text)
	}
	if text := run("-i", "--to-stdout", "etc/imgbuild/ram.json"); text != "{\"time\":315532800}\n" {
		t.Errorf("the time is %q", text)
	}
}
