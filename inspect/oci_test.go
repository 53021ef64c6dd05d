package inspect_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// exported returns the path of a container image.
func exported(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := outputtest.Tree(t).Export(t.Context(), path, "registry.example.org/hello:2"); err != nil {
		t.Fatal(err)
	}
	return path
}

func wanted() inspect.Image {
	created := time.Date(2026, time.March, 1, 12, 30, 15, 0, time.UTC)
	return inspect.Image{
		Names: []string{"registry.example.org/hello:2"}, Platform: "linux/amd64", Created: &created, User: "1000:1000",
		Entrypoint: []string{"/opt/jre/bin/java", "-jar"}, Cmd: []string{"/app/hello.jar"}, Env: []string{"TZ=UTC"}, WorkingDir: "/app",
		ExposedPorts: []string{"8080/tcp"}, Volumes: []string{"/data"}, Labels: map[string]string{"org.opencontainers.image.title": "hello-jvm"},
	}
}

func TestImage(t *testing.T) {
	r := read(t, exported(t))
	if r.Format != "oci" || len(r.Images) != 1 || len(r.Disks) > 0 || r.Package != nil {
		t.Fatalf("%+v", r)
	}
	im := r.Images[0]
	if diff := cmp.Diff(wanted(), im, cmpopts.IgnoreFields(inspect.Image{}, "Digest", "Layers")); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(im.Digest, "sha256:") || len(im.Layers) != 2 || im.Layers[0].Size != 3072 ||
		im.Layers[0].MediaType != "application/vnd.oci.image.layer.v1.tar" {
		t.Errorf("%+v", im)
	}
}

// TestSkopeo reads what another program makes of the image, among it the form
// that `docker save` had before OCI.
func TestSkopeo(t *testing.T) {
	skopeo := disktest.Program(t, "skopeo", "skopeo")
	path := exported(t)
	for transport, format := range map[string]string{"oci-archive": "oci", "docker-archive": "docker"} {
		copied := filepath.Join(t.TempDir(), "copy.tar")
		disktest.Run(t, skopeo, "--insecure-policy", "--tmpdir", t.TempDir(), "copy", "oci-archive:"+path, transport+":"+copied+":hello:2")
		r := read(t, copied)
		if r.Format != format || len(r.Images) != 1 {
			t.Fatalf("%s: %+v", transport, r)
		}
		im := r.Images[0]
		if diff := cmp.Diff(wanted(), im, cmpopts.IgnoreFields(inspect.Image{}, "Digest", "Layers", "Names")); diff != "" {
			t.Errorf("%s:\n%s", transport, diff)
		}
		if len(im.Layers) != 2 || im.Layers[0].Size == 0 || len(im.Names) != 1 || !strings.HasSuffix(im.Names[0], "hello:2") {
			t.Errorf("%s: %+v", transport, im)
		}
	}
}

// repack copies an archive, changing the content of members.
func repack(t *testing.T, path string, change func(name string, content []byte) []byte) string {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var b bytes.Buffer
	w, r := tar.NewWriter(&b), tar.NewReader(in)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if content = change(h.Name, content); content == nil {
			continue
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "repacked.tar")
	if err := os.WriteFile(out, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestImageProblems changes and removes a layer.
func TestImageProblems(t *testing.T) {
	path := exported(t)
	layer := read(t, path).Images[0].Layers[0].Digest
	name := "blobs/sha256/" + strings.TrimPrefix(layer, "sha256:")
	for word, content := range map[string]func([]byte) []byte{
		"is missing":     func([]byte) []byte { return nil },
		"is not what":    func(p []byte) []byte { p[5]++; return p },
		"has 3073 bytes": func(p []byte) []byte { return append(p, 0) },
	} {
		changed := repack(t, path, func(n string, p []byte) []byte {
			if n == name && len(p) > 0 {
				return content(p)
			}
			return p
		})
		problems := read(t, changed).Images[0].Problems
		if len(problems) != 1 || !strings.Contains(problems[0], word) || !strings.Contains(problems[0], layer) {
			t.Errorf("%s: %q", word, problems)
		}
	}
}

// TestBadImages reads archives that cannot be images.
func TestBadImages(t *testing.T) {
	path := exported(t)
	digest := "sha256:" + strings.Repeat("0", 64)
	nested := fmt.Sprintf(`{"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":%q,"size":1}]}`, digest)
	for name, index := range map[string]string{
		"parsing index.json": "{",
		"lists no image":     `{"manifests":[]}`,
		"the digest":         `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`,
		"is missing":         fmt.Sprintf(`{"manifests":[{"digest":%q}]}`, digest),
		"more than 4194304":  strings.Repeat(" ", 5<<20),
		"nest deeper":        nested,
	} {
		changed := repack(t, path, func(n string, p []byte) []byte {
			if n == "index.json" {
				return []byte(index)
			}
			return p
		})
		if name == "nest deeper" { // an index that holds itself
			appendMember(t, changed, "blobs/sha256/"+digest[7:], nested)
		}
		_, err := inspect.Read(t.Context(), changed)
		if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// appendMember adds a file to an archive by GNU tar.
func appendMember(t *testing.T, archive, name, content string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "-rf", archive, name)
}
