package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a folder with a few files, one of them with a name that a pattern
// must not take for one of its own signs.
func tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"etc/ssh/ssh_host_rsa_key", "opt/app/lib/app.jar", "opt/a+b[c].txt"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte("content"))
	}
	return root
}

func TestFindFile(t *testing.T) {
	t.Parallel()
	images := map[string]string{}
	dir, root := t.TempDir(), tree(t)
	images["ext4"] = filepath.Join(dir, "ext4")
	mustRun(t, exec.Command(need(t, "mkfs.ext4", "e2fsprogs"), "-q", "-d", root, images["ext4"], "4M"))
	images["erofs"] = filepath.Join(dir, "erofs")
	mustRun(t, exec.Command(need(t, "mkfs.erofs", "erofs-utils"), "-zlz4hc", images["erofs"], root))
	images["gpt"] = filepath.Join(dir, "gpt")
	ext4, err := os.ReadFile(images["ext4"])
	if err != nil {
		t.Fatal(err)
	}
	write(t, images["gpt"], append(make([]byte, 1<<20), append(ext4, make([]byte, 1<<20)...)...))
	sfdisk := exec.Command(need(t, "sfdisk", "fdisk"), "-q", images["gpt"])
	sfdisk.Stdin = strings.NewReader("label: gpt\nstart=2048, size=8192, type=L\n")
	mustRun(t, sfdisk)
	for name, image := range images {
		for _, test := range []struct{ pattern, want string }{
			{"/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_rsa_key"},
			{"/etc/ssh", "/etc/ssh"},
			{"/opt/**/*.jar", "/opt/app/lib/app.jar"},
			{"/**/app.jar", "/opt/app/lib/app.jar"},
			{"/opt/*/app.jar", ""},
			{"/opt/a+b[c].???", "/opt/a+b[c].txt"},
			{"/etc/shadow", ""},
			{"/root/**", ""},
		} {
			found, looked, err := findFile(t.Context(), image, test.pattern)
			if err != nil || found != test.want || looked < 3 {
				t.Errorf("%s: findFile(%s) = %q, %d, %v; want %q", name, test.pattern, found, looked, err, test.want)
			}
		}
	}
}

// Files that cannot be read may be the one: that is not absence.
func TestFindFileUnreadable(t *testing.T) {
	t.Parallel()
	image := filepath.Join(t.TempDir(), "bad")
	mustRun(t, exec.Command(need(t, "mkfs.ext4", "e2fsprogs"), "-q", image, "4M"))
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 256<<10), 4096); err != nil { // its group descriptors and inodes
		t.Fatal(err)
	}
	if _, _, err := findFile(t.Context(), image, "/etc/shadow"); err == nil {
		t.Error("a damaged filesystem holds no such file")
	}
	if _, _, err := findFile(t.Context(), filepath.Join(t.TempDir(), "none"), "/x"); err == nil {
		t.Error("no disk holds no such file")
	}
}
