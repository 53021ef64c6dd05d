package tarred_test

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/output/tarred"
)

func TestMember(t *testing.T) {
	when := time.Unix(1_000_000_000, 5)
	for _, content := range []string{"", "x", strings.Repeat("y", 512), strings.Repeat("z", 513)} {
		p, err := tarred.Member("dir/name", []byte(content), when)
		if err != nil {
			t.Fatal(err)
		}
		r := tar.NewReader(bytes.NewReader(append(p, make([]byte, tarred.End(0))...)))
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != content || h.Name != "dir/name" || h.ModTime.Unix() != when.Unix() || h.Uid != 0 || h.Mode != 0o644 {
			t.Errorf("%d bytes: %+v, %v", len(content), h, err)
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%d bytes: the end is %v", len(content), err)
		}
	}
}

func TestFile(t *testing.T) {
	for _, size := range []int64{0, 1<<33 - 1, 1 << 33, 1 << 40} {
		p, err := tarred.File("disk", size, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := tar.NewReader(bytes.NewReader(p)).Next(); err != nil || h.Size != size || len(p) != tarred.Block {
			t.Errorf("%d: %+v, %v", size, h, err)
		}
	}
	for _, name := range []string{strings.Repeat("n", 300), "größe"} {
		if _, err := tarred.File(name, 1, time.Unix(0, 0)); err == nil {
			t.Errorf("%q passed", name)
		}
	}
}
