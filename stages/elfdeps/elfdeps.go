// Package elfdeps finds the shared libraries that programs need, by reading
// the ELF files in a root folder: the interpreter, and what DT_NEEDED names,
// looked for where the dynamic loader would look (ld.so(8)): RPATH and RUNPATH
// with $ORIGIN, the folders of ld.so.conf, then the default folders.
//
// Nothing is run: the files may be of another machine.
package elfdeps

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/files"
)

// lookup are libraries that the C library loads by name when it looks up users
// and hosts; no DT_NEEDED speaks of them.
var lookup = []string{"libresolv.so.2", "libnss_dns.so.2", "libnss_files.so.2"}

// defaultDirs are searched last, the multiarch ones first as Debian's loader
// does.
var defaultDirs = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// maxLibraries bounds the closure.
const maxLibraries = 4096

// Library is a shared library or an interpreter: the name that programs ask
// for, and the file behind it. Both are absolute paths inside the root; they
// are the same when no link stands between them.
type Library struct {
	Path string
	Real string
}

// Closure returns the libraries that programs need, and those they need,
// sorted by path. The programs, or libraries, are absolute paths inside the
// root and are not returned themselves. extra are patterns of further libraries
// that are loaded by name at run time.
//
// A library that is nowhere to be found is an error of kind fault.Input that
// names who needs it.
func Closure(root string, programs, extra []string) ([]Library, error) {
	c := &closure{root: root, given: map[string]bool{}, named: map[string]string{}, found: map[string]Library{}}
	c.dirs = append(configured(root), defaultDirs...)
	for _, f := range programs {
		c.given[f] = true
		if _, ok := c.named[path.Base(f)]; !ok {
			c.named[path.Base(f)] = f
		}
	}
	for _, f := range programs {
		if err := c.visit(f); err != nil {
			return nil, err
		}
	}
	for _, pattern := range extra {
		if err := c.visitPattern(pattern); err != nil {
			return nil, err
		}
	}
	if c.has("libc.so.6") {
		for _, name := range lookup {
			if p, ok := c.search(name, nil); ok {
				if err := c.add(p); err != nil {
					return nil, err
				}
			}
		}
	}
	var list []Library
	for _, l := range c.found {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Library) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

type closure struct {
	root  string
	dirs  []string
	given map[string]bool
	named map[string]string  // the given files by their last element
	found map[string]Library // by path
}

func (c *closure) has(name string) bool {
	for p := range c.found {
		if path.Base(p) == name {
			return true
		}
	}
	return false
}

// add takes a library and visits it.
func (c *closure) add(p string) error {
	if _, ok := c.found[p]; ok || c.given[p] {
		return nil
	}
	if len(c.found) >= maxLibraries {
		return fmt.Errorf("more than %d shared libraries", maxLibraries)
	}
	real, err := c.resolve(p)
	if err != nil {
		return err
	}
	c.found[p] = Library{Path: p, Real: real}
	return c.visit(p)
}

func (c *closure) visitPattern(pattern string) error {
	matches, err := files.Match(c.root, pattern)
	if err != nil {
		return err
	}
	if len(matches) == 0 {
		return fault.New(fault.Input, fmt.Errorf("no library matches %s", pattern), "correct runtime.jvm.jni")
	}
	for _, m := range matches {
		if m.Dir {
			continue
		}
		if err := c.add(m.Path); err != nil {
			return err
		}
	}
	return nil
}

// visit adds what one ELF file needs.
func (c *closure) visit(p string) error {
	e, err := c.read(p)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p, err)
	}
	if e.interpreter != "" {
		if _, err := c.resolve(e.interpreter); err != nil {
			return missing(p, e.interpreter)
		}
		if err := c.add(e.interpreter); err != nil {
			return err
		}
	}
	dirs := e.searchDirs(path.Dir(p))
	for _, name := range e.needed {
		lib, ok := c.search(name, dirs)
		if !ok {
			return missing(p, name)
		}
		if err := c.add(lib); err != nil {
			return err
		}
	}
	return nil
}

func missing(user, name string) error {
	return fault.New(fault.Input, fmt.Errorf("%s needs the shared library %s, which is not there", user, name),
		"add the package that holds it")
}

// search looks for a library by name.
func (c *closure) search(name string, dirs []string) (string, bool) {
	if strings.Contains(name, "/") {
		_, err := c.resolve(name)
		return name, err == nil
	}
	// A library next to its user is often found because that user's loader
	// has loaded it already: files given together know each other by name.
	if p, ok := c.named[name]; ok {
		return p, true
	}
	for _, dir := range slices.Concat(dirs, c.dirs) {
		p := path.Join(dir, name)
		if _, err := c.resolve(p); err == nil {
			return p, true
		}
	}
	return "", false
}

// read reads an ELF file of the root.
func (c *closure) read(p string) (object, error) {
	real, err := c.resolve(p)
	if err != nil {
		return object{}, err
	}
	f, err := os.Open(filepath.Join(c.root, real))
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	return readELF(f)
}

// resolve follows links inside the root.
func (c *closure) resolve(p string) (string, error) { return files.Resolve(c.root, p) }

// object is what the loader would read in an ELF file.
type object struct {
	interpreter string
	needed      []string
	runPath     []string
}

// searchDirs expands $ORIGIN.
func (o object) searchDirs(origin string) []string {
	var dirs []string
	for _, d := range o.runPath {
		d = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(d)
		if path.IsAbs(d) {
			dirs = append(dirs, path.Clean(d))
		}
	}
	return dirs
}

// readELF reads one file. The standard library's reader was not made for
// hostile files, so a panic in it becomes an error.
func readELF(r io.ReaderAt) (o object, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged ELF file: %v", p)
		}
	}()
	f, err := elf.NewFile(r)
	if err != nil {
		return o, err
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if p.Filesz > 4096 {
			return o, errors.New("the interpreter's name is too long")
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			return o, err
		}
		o.interpreter = strings.TrimRight(string(b), "\x00")
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return o, err
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		values, err := f.DynString(tag)
		if err != nil {
			return o, err
		}
		for _, v := range values {
			o.runPath = append(o.runPath, strings.Split(v, ":")...)
		}
	}
	return o, nil
}

// configured reads the folders of /etc/ld.so.conf.d.
func configured(root string) []string {
	names, _ := filepath.Glob(filepath.Join(root, "etc/ld.so.conf.d/*.conf"))
	var dirs []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); path.IsAbs(line) {
				dirs = append(dirs, line)
			}
		}
	}
	return dirs
}
