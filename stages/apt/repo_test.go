package apt

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repo is a package repository in a folder, made by Debian's own tools.
type repo struct {
	t       *testing.T
	dir     string
	list    string    // path of a sources.list
	indexed time.Time // of the newest list of packages
}

// need skips the test when a program is not installed; never in CI.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", program, pkg)
	}
	t.Skipf("%s is missing: install the package %s", program, pkg)
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	need(t, "apt-get", "apt")
	need(t, "dpkg-deb", "dpkg")
	need(t, "dpkg-scanpackages", "dpkg-dev")
	dir := t.TempDir()
	r := &repo{t: t, dir: filepath.Join(dir, "repo"), list: filepath.Join(dir, "sources.list"), indexed: time.Now().Add(-time.Hour)}
	r.write("repo/.keep", "")
	r.source("[trusted=yes]")
	return r
}

// write makes a file beside the repository.
func (r *repo) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(filepath.Dir(r.dir), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repo) source(options string) {
	r.write("sources.list", fmt.Sprintf("deb %s file:%s ./\n", options, r.dir))
}

// add builds a package; fields are further control fields, one a line.
func (r *repo) add(name, version, fields, content string) {
	r.t.Helper()
	build := "build-" + name + version
	if fields != "" {
		fields += "\n"
	}
	r.write(build+"/DEBIAN/control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\n"+
		"Maintainer: Nobody <nobody@example.org>\n%sDescription: a test\n", name, version, fields))
	r.write(build+"/usr/share/"+name+"/content", content)
	r.write(build+"/usr/share/doc/"+name+"/copyright", "Licence of "+name+"\n")
	tool(r.t, filepath.Dir(r.dir), "dpkg-deb", "--root-owner-group", "--build", build, r.dir)
}

// index writes the list of packages. Each is a second younger than the one
// before: apt tells lists of a file: source apart by size and second.
func (r *repo) index() {
	r.t.Helper()
	r.write("repo/Packages", tool(r.t, r.dir, "dpkg-scanpackages", "--multiversion", "."))
	r.indexed = r.indexed.Add(time.Second)
	if err := os.Chtimes(filepath.Join(r.dir, "Packages"), r.indexed, r.indexed); err != nil {
		r.t.Fatal(err)
	}
}

// sign makes a key, signs the repository with it and returns the keyring.
func (r *repo) sign() string {
	r.t.Helper()
	need(r.t, "gpg", "gnupg")
	home := r.t.TempDir()
	r.t.Cleanup(func() { exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg := []string{"--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""}
	tool(r.t, r.dir, "gpg", append(gpg, "--quick-generate-key", "test@example.org", "ed25519", "sign")...)
	packages, err := os.ReadFile(filepath.Join(r.dir, "Packages"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("repo/Release", fmt.Sprintf("Suite: test\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n %x %d Packages\n",
		sha256.Sum256(packages), len(packages)))
	tool(r.t, r.dir, "gpg", append(gpg, "--clearsign", "-o", "InRelease", "Release")...)
	keyring := filepath.Join(filepath.Dir(r.dir), "keyring.gpg")
	tool(r.t, r.dir, "gpg", append(gpg, "-o", keyring, "--export")...)
	return keyring
}

func (r *repo) client() *Client {
	return New(Options{CacheDir: filepath.Join(filepath.Dir(r.dir), "cache"), SourcesList: r.list})
}

func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return string(out)
}
