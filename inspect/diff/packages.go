package diff

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/inspect/internal/rpmdb"
	"github.com/imgbuild/imgbuild/kernel/rpm"
	"github.com/imgbuild/imgbuild/sanitize"
)

// PackageDiff is in which packages two systems differ, by the databases of
// dpkg (also its status.d, as images without a package manager have it), of apk
// and of rpm.
type PackageDiff struct {
	Added   int             `json:"added"`
	Removed int             `json:"removed"`
	Changed int             `json:"changed"`
	List    []PackageChange `json:"list,omitempty"`
	// Unlisted is how many were left out.
	Unlisted int `json:"unlisted,omitempty"`
}

// PackageChange is what became of a package.
type PackageChange struct {
	Name   string `json:"name"`
	Change Change `json:"change"`
	// A and B are its versions, with the architecture: "3.0.15-1 amd64".
	A string `json:"a,omitempty"`
	B string `json:"b,omitempty"`
}

const (
	maxDatabase  = 256 << 20 // bytes of a database
	maxDatabases = 16 << 10  // files of databases
	maxField     = 1 << 20   // bytes of a line
)

// databases are the files of package databases, by path, of each side.
type databases [2]map[string]sanitize.File

// note keeps a file if it is one of a database.
func (d *databases) note(side int, f *sanitize.File) {
	if f.Open == nil || !isDatabase(f.Path) || len(d[side]) >= maxDatabases {
		return
	}
	if d[side] == nil {
		d[side] = map[string]sanitize.File{}
	}
	d[side][f.Path] = *f
}

// isDatabase tells the databases by their paths, below whatever root.
func isDatabase(path string) bool {
	const folder = "/var/lib/dpkg/status.d/"
	if _, name, ok := strings.Cut(path, folder); ok {
		return !strings.Contains(name, "/") && !strings.HasSuffix(name, ".md5sums")
	}
	return strings.HasSuffix(path, "/var/lib/dpkg/status") || strings.HasSuffix(path, "/lib/apk/db/installed") || isRPM(path)
}

// isRPM tells rpm's database, which is in one of two folders.
func isRPM(path string) bool {
	return strings.HasSuffix(path, "/var/lib/rpm/rpmdb.sqlite") || strings.HasSuffix(path, "/usr/lib/sysimage/rpm/rpmdb.sqlite")
}

// compare compares the packages of both sides; nil when there are none, or no
// difference.
func (d *databases) compare(ctx context.Context, o Options) (*PackageDiff, error) {
	var installed [2]map[string]string
	for side, files := range d {
		installed[side] = map[string]string{}
		for _, path := range slices.Sorted(maps.Keys(files)) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := read(files[path], installed[side]); err != nil {
				return nil, fmt.Errorf("reading the packages in %s: %w", path, err)
			}
		}
	}
	found := &PackageDiff{}
	names := maps.Clone(installed[0])
	maps.Copy(names, installed[1])
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, b := installed[0][name], installed[1][name]
		if a != b {
			found.add(PackageChange{Name: name, A: a, B: b}, o)
		}
	}
	if found.Added+found.Removed+found.Changed == 0 {
		return nil, nil
	}
	return found, nil
}

func (d *PackageDiff) add(p PackageChange, o Options) {
	switch {
	case p.A == "":
		p.Change = Added
		d.Added++
	case p.B == "":
		p.Change = Removed
		d.Removed++
	default:
		p.Change = Changed
		d.Changed++
	}
	switch {
	case o.Stat:
	case len(d.List) < o.Limit:
		d.List = append(d.List, p)
	default:
		d.Unlisted++
	}
}

// read adds the installed packages of a database: their versions by name, and
// by architecture where a name is there twice.
func read(f sanitize.File, installed map[string]string) error {
	if f.Size > maxDatabase {
		return fmt.Errorf("it has %d bytes, more than %d", f.Size, maxDatabase)
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	if isRPM(f.Path) {
		return rpmdb.Packages(content, f.Size, func(i rpm.Info) error {
			e := entry{name: i.Name, version: i.Version + "-" + i.Release, arch: i.Arch}
			if i.Epoch > 0 {
				e.version = fmt.Sprintf("%d:%s", i.Epoch, e.version)
			}
			e.install(installed)
			return nil
		})
	}
	lines := bufio.NewScanner(io.NewSectionReader(content, 0, f.Size))
	lines.Buffer(nil, maxField)
	p := entry{}
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			p.install(installed)
			p = entry{}
			continue
		}
		p.field(line)
	}
	p.install(installed)
	return lines.Err()
}

// entry is a paragraph of a database: dpkg's (deb-control(5)) and apk's, whose
// fields have names of one letter.
type entry struct{ name, version, arch, status string }

func (e *entry) field(line string) {
	key, value, ok := strings.Cut(line, ":")
	if !ok {
		return
	}
	value = strings.TrimSpace(value)
	switch key {
	case "Package", "P":
		e.name = value
	case "Version", "V":
		e.version = value
	case "Architecture", "A":
		e.arch = value
	case "Status":
		e.status = value
	}
}

// install adds a package, unless only its configuration is left.
func (e *entry) install(installed map[string]string) {
	if e.name == "" || e.status != "" && !strings.HasSuffix(e.status, " installed") {
		return
	}
	name := e.name
	if _, twice := installed[name]; twice {
		name = cmp.Or(e.name+":"+e.arch, name)
	}
	version := strings.TrimSpace(e.version + " " + e.arch)
	if before, more := installed[name]; more { // of kernels rpm keeps several
		version = before + ", " + version
	}
	installed[name] = version
}
