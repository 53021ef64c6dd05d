package stages

import (
	"os"
	"path/filepath"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestFollowStaysInside gives an image links that lead to the machine's own
// files when they are followed from its root: they count as the image's.
func TestFollowStaysInside(t *testing.T) {
	tree := t.TempDir()
	for name, text := range map[string]string{"usr/bin/app": "", "real/passwd": "svc:x:4711:4712::/:/none\n"} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(tree, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"bin": "/usr/bin", "etc/passwd": "/real/passwd", "sbin": "/usr/sbin"} {
		if err := os.Symlink(target, filepath.Join(tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	var p skeletonParams
	p.Guest.App.Dir = "/"
	if err := p.follow(ocispec.ImageConfig{Cmd: []string{"app"}, User: "svc", Env: []string{"PATH=/sbin:/bin"}}, tree); err != nil {
		t.Fatal(err)
	}
	if app := p.Guest.App; app.Command[0] != "/bin/app" || app.UID != 4711 || app.GID != 4712 {
		t.Errorf("the app is %s as %d:%d", app.Command, app.UID, app.GID)
	}
	for user, want := range map[string][2]int{"4711": {4711, 4712}, "99": {99, 0}, "99:7": {99, 7}, "svc:8": {4711, 8}} {
		if uid, gid, err := lookUser(tree, user); err != nil || uid != want[0] || gid != want[1] {
			t.Errorf("USER %s is %d:%d (%v), want %v", user, uid, gid, err, want)
		}
	}
	// sh is on this machine, and not in the image.
	p = skeletonParams{}
	if err := p.follow(ocispec.ImageConfig{Cmd: []string{"sh"}, Env: []string{"PATH=/sbin:/bin"}}, tree); err == nil {
		t.Errorf("the image has no sh, and %s was found", p.Guest.App.Command)
	}
	if err := p.follow(ocispec.ImageConfig{Cmd: []string{"/bin/app"}, User: "root"}, tree); err == nil {
		t.Error("the image has no root, and this machine's was found")
	}
}
