package rpmdb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/kernel/rpm"
)

// installed makes a database with rpm itself, and returns its path: packages
// without files, one of them with a text that takes many pages.
func installed(t testing.TB, names ...string) string {
	t.Helper()
	rpmbuild, program := disktest.Program(t, "rpmbuild", "rpm"), disktest.Program(t, "rpm", "rpm")
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	args := []string{"--root", filepath.Join(dir, "root"), "--dbpath", "/db", "--force-debian", "-i", "--justdb", "--nodeps", "--ignorearch", "--ignoreos"}
	for i, name := range names {
		spec := filepath.Join(dir, name+".spec")
		text := fmt.Sprintf("Name: %s\nVersion: %d.1\nRelease: 7\nSummary: x\nLicense: x\nBuildArch: noarch\n", name, i)
		if i%2 == 1 {
			text += "Epoch: 3\n"
		}
		text += "%description\n" + strings.Repeat("long and longer ", i*2000) + "\n%files\n"
		if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		disktest.Run(t, rpmbuild, "-bb", "--define", "_topdir "+home, "--define", "_rpmdir "+dir, "--define", "_build_name_fmt %{NAME}.rpm", spec)
		args = append(args, filepath.Join(dir, name+".rpm"))
	}
	if err := os.Mkdir(filepath.Join(dir, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("rpm installs only as root: %v\n%s", err, out)
	}
	return filepath.Join(dir, "root/db/rpmdb.sqlite")
}

func list(p []byte) ([]string, error) {
	var found []string
	err := Packages(bytes.NewReader(p), int64(len(p)), func(i rpm.Info) error {
		found = append(found, fmt.Sprintf("%d:%s", i.Epoch, i))
		return nil
	})
	return found, err
}

// TestPackages reads what rpm wrote.
func TestPackages(t *testing.T) {
	var names, want []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("package%02d", i))
		want = append(want, fmt.Sprintf("%d:package%02d-%d.1-7.noarch", i%2*3, i, i))
	}
	p, err := os.ReadFile(installed(t, names...))
	if err != nil {
		t.Fatal(err)
	}
	got, err := list(p)
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, n := range []int{0, 99, 4096, len(p) / 2} {
		if got, err := list(p[:n]); err == nil {
			t.Errorf("of %d bytes it reads %v", n, got)
		}
	}
}

// TestSQLite reads a table of many pages, which sqlite3 wrote.
func TestSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	disktest.Run(t, disktest.Program(t, "sqlite3", "sqlite3"), path,
		"pragma page_size=512; create table other(a); create table Packages(hnum integer primary key, blob blob, n integer);"+
			"with recursive c(x) as (select 1 union all select x+1 from c where x<2000) insert into Packages select x, zeroblob(x), x*x*x*(x%2*2-1) from c;")
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	root, count := int64(0), 0
	err = d.rows(1, func(row []value) error {
		if string(row[1].bytes) == table {
			root = row[3].number
		}
		return nil
	})
	if err == nil {
		err = d.rows(root, func(row []value) error {
			count++
			if n := int64(count); int64(len(row[1].bytes)) != n || row[2].number != n*n*n*(n%2*2-1) {
				t.Errorf("row %d has a blob of %d bytes and the number %d", n, len(row[1].bytes), row[2].number)
			}
			return nil
		})
	}
	if err != nil || count != 2000 {
		t.Errorf("%d rows, %v", count, err)
	}
}

func FuzzPackages(f *testing.F) {
	p, err := os.ReadFile(installed(f, "one", "two", "three"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, p []byte) {
		if found, err := list(p); err == nil && len(found) > len(p) {
			t.Errorf("%d packages in %d bytes", len(found), len(p))
		}
	})
}
