package apt

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.add("app", "2:2.0-1+b1", "Source: app-src (2:2.0-1)\nHomepage: https://example.org/", "app\n")
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		file := filepath.Join(r.dir, "app_"+compression+".deb")
		tool(t, filepath.Dir(r.dir), "dpkg-deb", "-Z"+compression, "--root-owner-group", "--build", "build-app2:2.0-1+b1", file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", compression, err)
		}
		want := &Info{Package: "app", Version: "2:2.0-1+b1", Architecture: "amd64", Source: "app-src", SourceVersion: "2:2.0-1",
			Homepage: "https://example.org/", Copyrights: map[string][]byte{"usr/share/doc/app/copyright": []byte("Licence of app\n")}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", compression, d)
		}
		for _, n := range []int{0, 7, 8, 60, 100, len(data) / 2} {
			if _, err := Read(bytes.NewReader(data[:n])); err == nil {
				t.Errorf("%s: no error for the first %d bytes", compression, n)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	member := func(name, data string) string {
		if len(data)%2 == 1 {
			data += "\n"
		}
		return name + strings.Repeat(" ", 48-len(name)) + "4         `\n" + data
	}
	f.Add([]byte("!<arch>\n" + member("debian-binary", "2.0\n")))
	f.Add([]byte("!<arch>\n" + member("debian-binary", "2.0\n") + member("control.tar", "text")))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := Read(bytes.NewReader(data))
		if err == nil && (info.Package == "" || info.Version == "") {
			t.Error("a package without a name or version")
		}
	})
}

func FuzzParsePackages(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nSize: 3\nSHA256: " + strings.Repeat("0a", 32) + "\n\nPackage: b\n continued\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parsePackages(text)
		for _, p := range list {
			if err == nil && (p.Size <= 0 || len(p.SHA256) != 64) {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}
