package audit_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
)

// nested is a zip file whose member is archive, stored or compressed.
func nested(t *testing.T, member string, archive []byte, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: member, Method: method})
	if err == nil {
		_, err = w.Write(archive)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tarball is a tar archive of the files, in their order.
func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o600})
		if err == nil {
			_, err = io.WriteString(w, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

// TestNested finds what is in a jar within a jar, live and deleted, and what
// the names of members in a tar archive tell.
func TestNested(t *testing.T) {
	library := archive(t, "app.properties", "token "+token(1)+"\n")
	shadow := "root:$" + "6$saltsalt$" + letters(1, 86) + ":19000:0:99999:7:::\n"
	backup := tarball(t, "notes", "nothing\n", "./etc/shadow", shadow, "root/.bash_history", "ls\n")
	path := filesystem(t, map[string][]byte{
		"stored.jar":    nested(t, "BOOT-INF/lib/x.jar", library, zip.Store),
		"packed.war":    nested(t, "WEB-INF/lib/x.jar", library, zip.Deflate),
		"gone.jar":      nested(t, "BOOT-INF/lib/x.jar", library, zip.Store),
		"backup.tar.gz": gzipped(t, backup), "backup.tar": backup,
	}, "gone.jar")
	got := secrets(run(t, open(t, path), options(t, "none")))
	slices.Sort(got)
	want := []string{
		"github-token /packed.war WEB-INF/lib/x.jar!app.properties at byte 6",
		"github-token /stored.jar BOOT-INF/lib/x.jar!app.properties at byte 6",
		"github-token free BOOT-INF/lib/x.jar!app.properties at byte 6",
		"password-hash /backup.tar", "password-hash /backup.tar.gz ./etc/shadow at byte 5",
		"shadow /backup.tar ./etc/shadow", "shadow /backup.tar.gz ./etc/shadow",
		"shell-history /backup.tar root/.bash_history", "shell-history /backup.tar.gz root/.bash_history",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDamagedTar searches what follows a damaged header, and does not trust
// what a member claims to hold.
func TestDamagedTar(t *testing.T) {
	b := tarball(t, "one", "nothing\n", "two", token(2)+"\n")
	copy(b[1024:], bytes.Repeat([]byte{0xff}, 100))
	m := disk.NewMemory(1 << 20)
	if _, err := m.WriteAt(gzipped(t, b), 4096); err != nil {
		t.Fatal(err)
	}
	if got := secrets(run(t, m, options(t, "none"))); len(got) != 1 {
		t.Errorf("the secrets are %v", got)
	}
}
