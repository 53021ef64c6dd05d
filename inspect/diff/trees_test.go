package diff_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/inspect/diff"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// trees makes two trees, and returns their folders.
func trees(t *testing.T) (a, b string) {
	t.Helper()
	a, b = filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, root := range []string{a, b} {
		for name, content := range map[string]string{
			"etc/same": "the same\n", "etc/mode": "mode\n", "etc/owner": "owner\n", "etc/time": "time\n", "a.b": "before a/ by its bytes\n",
			"a/b": "in a\n", "a/b.c": "also\n", "big": strings.Repeat("0123456789abcdef", 40_000), "empty": "",
		} {
			writeFile(t, filepath.Join(root, name), content)
		}
	}
	writeFile(t, filepath.Join(a, "a/gone"), "gone\n")
	writeFile(t, filepath.Join(a, "old/name"), "renamed\n")
	writeFile(t, filepath.Join(b, "new/name"), "renamed\n")
	writeFile(t, filepath.Join(b, "zz/added"), "added\n")
	writeFile(t, filepath.Join(a, "etc/content"), "before\n")
	writeFile(t, filepath.Join(b, "etc/content"), "behind\n")
	writeFile(t, filepath.Join(a, "etc/longer"), "short\n")
	writeFile(t, filepath.Join(b, "etc/longer"), "and longer\n")
	writeFile(t, filepath.Join(a, "kind"), "a file\n")
	writeFile(t, filepath.Join(b, "kind/file"), "in a folder\n")
	big := []byte(strings.Repeat("0123456789abcdef", 40_000))
	big[len(big)-1]++
	writeFile(t, filepath.Join(b, "big"), string(big))
	for root, target := range map[string]string{a: "same", b: "mode"} {
		if err := os.Symlink(target, filepath.Join(root, "etc/link")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(b, "etc/mode"), 0o4755); err != nil {
		t.Fatal(err)
	}
	sameTimes(t, a, b)
	if err := os.Chtimes(filepath.Join(b, "etc/time"), time.Time{}, time.Unix(2_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Lchown(filepath.Join(b, "etc/owner"), 33, 44); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// sameTimes gives all files one time.
func sameTimes(t *testing.T, roots ...string) {
	t.Helper()
	for _, root := range roots {
		fstest.Program(t, "find", root, "-exec", "touch", "-h", "-d", "@1000000", "{}", "+")
	}
}

// wanted is what diff(1) and find(1) say of two trees: for each path what
// differs.
func wanted(t *testing.T, a, b string) map[string]string {
	t.Helper()
	want := map[string]string{}
	for line := range strings.Lines(found(t, "diff", "diffutils", "-rq", "--no-dereference", a, b)) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "Files "):
			want[strings.TrimPrefix(words[1], a)] = "content"
		case strings.HasPrefix(line, "Symbolic links "):
			want[strings.TrimPrefix(words[2], a)] = "target"
		case strings.HasPrefix(line, "File "): // is a … while …
			want[strings.TrimPrefix(words[1], a)] = "type"
		}
	}
	x, y := properties(t, a), properties(t, b)
	for path, p := range x {
		q, there := y[path]
		if !there {
			want[path] = "removed"
			continue
		}
		for i, what := range []string{"mode", "owner", "mtime"} {
			if p[i] != q[i] {
				want[path] = strings.TrimPrefix(want[path]+" "+what, " ")
			}
		}
	}
	for path := range y {
		if _, there := x[path]; !there {
			want[path] = "added"
		}
	}
	return want
}

// properties are mode, owner and time of all files below a folder.
func properties(t *testing.T, root string) map[string][]string {
	t.Helper()
	list := map[string][]string{}
	for line := range strings.Lines(fstest.Program(t, "find", root, "-mindepth", "1", "-printf", "/%P\t%M\t%U:%G\t%T@\n")) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		list[words[0]] = words[1:]
	}
	return list
}

// got is what a report says, in the terms of wanted.
func got(d *diff.FileDiff) map[string]string {
	list := map[string]string{}
	for _, f := range d.List {
		switch f.Change {
		case diff.Changed:
			list[f.Path] = strings.Join(f.What, " ")
		case diff.Renamed:
			list[f.From], list[f.Path] = "removed", "added"
		default:
			list[f.Path] = string(f.Change)
		}
	}
	// The folders that the programs make have times of their own.
	delete(list, "/")
	delete(list, "/lost+found")
	return list
}

// image makes a filesystem of a tree.
func image(t *testing.T, kind, tree string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), kind)
	switch kind {
	case "ext4":
		fstest.Need(t, "e2fsprogs", "mke2fs")
		fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-U", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "-d", tree, path, "8m")
	case "erofs":
		fstest.Need(t, "erofs-utils", "mkfs.erofs")
		fstest.Program(t, "mkfs.erofs", "-zlz4hc", path, tree)
	case "squashfs":
		fstest.Need(t, "squashfs-tools", "mksquashfs")
		fstest.Program(t, "mksquashfs", tree, path, "-quiet", "-no-progress")
	}
	return path
}

// TestFiles compares trees on filesystems of the same and of different kinds,
// with diff(1) and find(1) as judges.
func TestFiles(t *testing.T) {
	a, b := trees(t)
	want := wanted(t, a, b)
	for _, kinds := range [][2]string{{"ext4", "ext4"}, {"erofs", "erofs"}, {"ext4", "erofs"}, {"squashfs", "squashfs"}, {"erofs", "squashfs"}} {
		first, second := image(t, kinds[0], a), image(t, kinds[1], b)
		r := compare(t, first, second, diff.Options{})
		v := r.Disks[0].Volumes[0]
		if d := cmp.Diff(want, got(v.Files)); d != "" || r.Same {
			t.Errorf("%v (-wanted +got):\n%s", kinds, d)
		}
		if v.Files.Renamed != 1 || v.Files.Changed < 6 || v.Files.Unlisted != 0 {
			t.Errorf("%v: %+v", kinds, v.Files)
		}
		i := slices.IndexFunc(v.Files.List, func(f diff.FileChange) bool { return f.Path == "/big" })
		sum := strings.Fields(fstest.Program(t, "sha256sum", filepath.Join(b, "big")))[0]
		if f := v.Files.List[i]; f.B.SHA256 != sum || f.A.SHA256 == sum || f.A.SHA256 == "" {
			t.Errorf("%v: %+v %+v", kinds, f.A, f.B)
		}
		filesystem := diff.Fact{What: "filesystem", A: kinds[0], B: kinds[1]}
		if slices.Contains(v.Facts, filesystem) != (kinds[0] != kinds[1]) {
			t.Errorf("%v: %v", kinds, v.Facts)
		}
		r = compare(t, first, second, diff.Options{Only: []diff.Section{diff.Files}, Ignore: diff.Attributes(), Limit: 2})
		for _, f := range r.Disks[0].Volumes[0].Files.List {
			if f.Change == diff.Changed && !slices.ContainsFunc(f.What, func(w string) bool { return w == "content" || w == "target" || w == "type" }) {
				t.Errorf("%v: %s is reported for %v", kinds, f.Path, f.What)
			}
		}
		if d := r.Disks[0]; d.Bytes != nil || len(d.Volumes[0].Facts) > 0 || len(d.Volumes[0].Files.List) > 2 || d.Volumes[0].Files.Unlisted == 0 {
			t.Errorf("%v: %+v", kinds, d)
		}
	}
	// A tree in two filesystems is the same tree.
	r := compare(t, image(t, "ext4", a), image(t, "erofs", a), diff.Options{Only: []diff.Section{diff.Files}})
	if list := got(r.Disks[0].Volumes[0].Files); len(list) > 0 {
		t.Errorf("one tree in two filesystems differs in %v", list)
	}
}

// TestXattrs compares files of which debugfs gave one an attribute.
func TestXattrs(t *testing.T) {
	a, _ := trees(t)
	fstest.Need(t, "e2fsprogs", "debugfs")
	first, second := image(t, "ext4", a), image(t, "ext4", a)
	fstest.Program(t, "debugfs", "-w", "-R", "ea_set /etc/same user.note hello", second)
	files := func(o diff.Options) *diff.FileDiff { return compare(t, first, second, o).Disks[0].Volumes[0].Files }
	if list := got(files(diff.Options{Only: []diff.Section{diff.Files}})); !cmp.Equal(list, map[string]string{"/etc/same": "xattrs"}) {
		t.Errorf("%v", list)
	}
}

// TestPackages compares databases of packages; dpkg-query is the judge.
func TestPackages(t *testing.T) {
	status := func(packages ...string) string {
		var b strings.Builder
		for _, p := range packages {
			name, version, _ := strings.Cut(p, " ")
			b.WriteString("Package: " + name + "\nStatus: install ok installed\nMaintainer: Nobody <nobody@example.org>\nArchitecture: amd64\n" +
				"Version: " + version + "\nDescription: one\n more\n Version: none\n\n")
		}
		return b.String() + "Package: removed\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\nMaintainer: Nobody <nobody@example.org>\nDescription: gone\n"
	}
	var images, lists [2]string
	for i, packages := range [][]string{{"base 1.0-1", "old 2", "tool 3.1~rc1"}, {"base 1.0-2", "new 1", "tool 3.1~rc1"}} {
		root := t.TempDir()
		file := writeFile(t, filepath.Join(root, "var/lib/dpkg/status"), status(packages...))
		lists[i] = fstest.Program(t, "dpkg-query", "--admindir", filepath.Dir(file), "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version} ${Architecture}\n")
		writeFile(t, filepath.Join(root, "var/lib/dpkg/status.d/layer"), "Package: layer\nVersion: "+packages[0][5:]+"\nArchitecture: all\n")
		writeFile(t, filepath.Join(root, "var/lib/dpkg/status.d/layer.md5sums"), "Package: none\nVersion: 1\n")
		writeFile(t, filepath.Join(root, "lib/apk/db/installed"), "C:Q1x\nP:musl\nV:1.2."+packages[0][9:]+"\nA:x86_64\n\n")
		images[i] = image(t, "ext4", root)
	}
	r := compare(t, images[0], images[1], diff.Options{Only: []diff.Section{diff.Packages}})
	d := r.Disks[0].Volumes[0].Packages
	want := []diff.PackageChange{
		{Name: "base", Change: diff.Changed, A: "1.0-1 amd64", B: "1.0-2 amd64"},
		{Name: "layer", Change: diff.Changed, A: "1.0-1 all", B: "1.0-2 all"},
		{Name: "musl", Change: diff.Changed, A: "1.2.1 x86_64", B: "1.2.2 x86_64"},
		{Name: "new", Change: diff.Added, B: "1 amd64"},
		{Name: "old", Change: diff.Removed, A: "2 amd64"},
	}
	if diff := cmp.Diff(want, d.List); diff != "" || d.Added != 1 || d.Removed != 1 || d.Changed != 3 || r.Same {
		t.Errorf("%+v\n%s", d, diff)
	}
	for _, p := range want {
		for i, version := range []string{p.A, p.B} {
			if strings.HasSuffix(version, " amd64") && !strings.Contains(lists[i], "ii  "+p.Name+" "+version) {
				t.Errorf("dpkg-query does not list %s %s:\n%s", p.Name, version, lists[i])
			}
		}
	}
}
