package lint_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/ovf/lint"
)

// TestArchive packs the files of a package as people do.
func TestArchive(t *testing.T) {
	tar := disktest.Program(t, "tar", "tar")
	good := []string{"hello-jvm.ovf", "hello-jvm.mf", "hello-jvm-disk1.vmdk"}
	for name, c := range map[string]struct {
		format string
		files  []string
		want   []string
	}{
		"good":         {"ustar", good, []string{}},
		"files first":  {"ustar", []string{good[0], good[2], good[1]}, []string{}},
		"disk first":   {"ustar", []string{good[2], good[0], good[1]}, []string{"ova-order"}},
		"in a folder":  {"ustar", []string{"."}, []string{"ova-member", "ova-name", "ova-unreferenced"}},
		"with a dot":   {"ustar", []string{"./" + good[0], "./" + good[1], "./" + good[2]}, []string{"ova-name"}},
		"POSIX":        {"posix", good, []string{"ova-pax"}},
		"README":       {"ustar", append(good[:3:3], "README"), []string{"ova-unreferenced"}},
		"no manifest":  {"ustar", []string{good[0], good[2]}, []string{"manifest-missing"}},
		"a blank":      {"ustar", append(good[:3:3], "read me"), []string{"ova-name", "ova-unreferenced"}},
		"another stem": {"ustar", append(good[:3:3], "other.cert"), []string{"ova-stem", "signature"}},
	} {
		dir := made(t, "")
		for _, extra := range []string{"README", "read me", "other.cert"} {
			if err := os.WriteFile(filepath.Join(dir, extra), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "hello-jvm.ova")
		disktest.Run(t, tar, append([]string{"-C", dir, "--sort=name", "--format=" + c.format, "-cf", path}, c.files...)...)
		got := rules(t, path, lint.Options{})
		if name == "in a folder" && len(got) > 0 && got[len(got)-1] == "signature" {
			got = got[:len(got)-1] // of other.cert, which lies there too
		}
		if name == "in a folder" {
			got = without(got, "ova-order", "ova-stem")
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func without(list []string, names ...string) []string {
	kept := []string{}
	for _, s := range list {
		found := false
		for _, n := range names {
			found = found || s == n
		}
		if !found {
			kept = append(kept, s)
		}
	}
	return kept
}

// TestCutArchive ends an archive without its blocks of zeros.
func TestCutArchive(t *testing.T) {
	dir := made(t, "")
	path := filepath.Join(t.TempDir(), "hello-jvm.ova")
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "--format=ustar", "--blocking-factor=1", "-cf", path,
		"hello-jvm.ovf", "hello-jvm.mf", "hello-jvm-disk1.vmdk")
	if diff := cmp.Diff([]string{"ova-end"}, rules(t, path, lint.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestLarge adds a sparse file of 9 GiB, in both ways of writing its size.
func TestLarge(t *testing.T) {
	for format, want := range map[tar.Format][]string{
		tar.FormatGNU: {"ova-unreferenced"}, tar.FormatPAX: {"ova-large", "ova-unreferenced"},
	} {
		dir := made(t, "")
		path := filepath.Join(t.TempDir(), "hello-jvm.ova")
		disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "--format=ustar", "--blocking-factor=1", "-cf", path,
			"hello-jvm.ovf", "hello-jvm.mf", "hello-jvm-disk1.vmdk")
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		end, err := f.Seek(-1024, 2) // over the end of the archive
		if err == nil {
			err = tar.NewWriter(f).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big.vmdk", Size: 9 << 30, Mode: 0o644, Format: format})
		}
		if err == nil {
			err = f.Truncate((end + 9<<30 + 4096 + 10239) / 10240 * 10240)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if diff := cmp.Diff(want, rules(t, path, lint.Options{})); diff != "" {
			t.Errorf("%v: %s", format, diff)
		}
	}
}

// TestReferences packs two disks, in their order and in the other.
func TestReferences(t *testing.T) {
	a := outputtest.Appliance()
	for _, s := range disktest.Samples() {
		if s.Name == "mixed" {
			a.Disks = append(a.Disks, s.Disk)
		}
	}
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Appliance: a}, "1 MiB")
	good := []string{"hello-jvm.ovf", "hello-jvm.mf", "hello-jvm-disk1.vmdk", "hello-jvm-disk2.vmdk"}
	for want, files := range map[string][]string{"": good, "ova-references": {good[0], good[1], good[3], good[2]}} {
		path := filepath.Join(t.TempDir(), "hello-jvm.ova")
		disktest.Run(t, disktest.Program(t, "tar", "tar"), append([]string{"-C", m.Dir.Path(""), "--format=ustar", "-cf", path}, files...)...)
		if diff := cmp.Diff(strings.Fields(want), rules(t, path, lint.Options{})); diff != "" {
			t.Error(diff)
		}
	}
}
