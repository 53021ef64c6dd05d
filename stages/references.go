package stages

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/stages/classfile"
)

const kindReferences = "references"

// references adds the stage that reads what the app's classes refer to. Most
// edits of an app leave that as it is, and so spare what jdeps and jlink do.
func (s *set) references(jdk []builder.Input, app string) string {
	return s.add(builder.Stage{
		Name:    "references",
		Title:   "read what the app's classes refer to",
		Kind:    kindReferences,
		Version: 3,
		Inputs:  append(slices.Clone(jdk), from(app, "layer"), from(app, "classpath")),
	}, struct{}{})
}

// readReferences is the runner. Its outputs are a jar of stubs, and one of stubs
// of the classes in nested jars: what those lack is for their launcher to say,
// for what it loads is seldom all that they can do.
func (o Options) readReferences(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	jdk, err := o.openJDK(ctx, w)
	if err != nil {
		return nil, err
	}
	list, err := readInput(ctx, w, "classpath")
	if err != nil {
		return nil, err
	}
	tree, err := w.Store.Tree(ctx, layers(w, "layer")...)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	classPath := strings.Fields(string(list))
	outputs := builder.Outputs{}
	for name, read := range map[string]func(*merger, *zip.Reader) error{"jar": (*merger).classes, "nested": (*merger).nested} {
		outputs[name], err = put(ctx, w.Store, mediaTypeJar, func(out io.Writer) error {
			return merge(root, classPath, jdk.feature, out, read)
		})
		if err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// versionsPrefix is where a multi-release jar keeps the classes for newer
// releases (JAR File Specification, "Multi-release JAR files").
const versionsPrefix = "META-INF/versions/"

// folderPrefixes are where jars with a launcher, and web applications, keep
// classes that are named without them.
var folderPrefixes = []string{"BOOT-INF/classes/", "WEB-INF/classes/"}

// merger writes one jar with a stub of each class: the one that the JVM of that
// feature release would load. Module descriptors are left out: jdeps would
// resolve named modules by rules that do not hold on a class path, and stop at
// the first optional one that is missing.
type merger struct {
	out     *zip.Writer
	feature int
	seen    map[string]bool
}

// merge reads each jar of a class path.
func merge(root *os.Root, classPath []string, feature int, out io.Writer, read func(*merger, *zip.Reader) error) error {
	m := &merger{out: zip.NewWriter(out), feature: feature, seen: map[string]bool{}}
	for _, guest := range classPath {
		if err := m.open(root, guest, read); err != nil {
			return fmt.Errorf("reading %s: %w", guest, err)
		}
	}
	return m.out.Close()
}

func (m *merger) open(root *os.Root, guest string, read func(*merger, *zip.Reader) error) error {
	f, err := root.Open(strings.TrimPrefix(guest, "/"))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return err
	}
	return read(m, z)
}

// classes adds the classes of a jar.
func (m *merger) classes(z *zip.Reader) error {
	for _, c := range classesFor(z.File, m.feature) {
		if m.seen[c.name] {
			continue // an earlier jar has it
		}
		m.seen[c.name] = true
		stub, err := readStub(c.file)
		if err != nil {
			return fmt.Errorf("%s: %w", c.file.Name, err)
		}
		w, err := m.out.CreateHeader(&zip.FileHeader{Name: c.name, Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := w.Write(stub); err != nil {
			return err
		}
	}
	return nil
}

// maxNested bounds a jar in a jar, in bytes: it is held in memory.
const maxNested = 256 << 20

// nested adds the classes of the jars in a jar, which a launcher loads from
// there. Those that cannot be read are left to it.
func (m *merger) nested(z *zip.Reader) error {
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".jar") || f.UncompressedSize64 > maxNested {
			continue
		}
		b, err := readEntry(f, maxNested)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		inner, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		if err := m.classes(inner); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// readEntry reads a file of an archive, which has limit bytes at most.
func readEntry(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return b, err
}

// maxClass bounds a class file, in bytes. The largest in use have a few MiB.
const maxClass = 64 << 20

// readStub reads the stub of a class; of one that has none, the class itself.
func readStub(f *zip.File) ([]byte, error) {
	b, err := readEntry(f, maxClass)
	if err != nil {
		return nil, err
	}
	c, err := classfile.Parse(b)
	if err != nil {
		return b, nil // jdeps decides what to make of it
	}
	if stub, err := c.Stub(); err == nil {
		return stub, nil
	}
	return b, nil
}

// class is a class file in a jar, under the name it is loaded by.
type class struct {
	name    string
	release int // 0 for the base
	file    *zip.File
}

// classesFor returns the classes of a jar for a feature release, the newest
// variant of each first.
func classesFor(all []*zip.File, feature int) []class {
	var list []class
	for _, f := range all {
		c := class{name: f.Name, file: f}
		if rest, ok := strings.CutPrefix(f.Name, versionsPrefix); ok {
			number, name, _ := strings.Cut(rest, "/")
			release, err := strconv.Atoi(number)
			if err != nil || release > feature {
				continue
			}
			c.name, c.release = name, release
		}
		for _, prefix := range folderPrefixes {
			c.name = strings.TrimPrefix(c.name, prefix)
		}
		if strings.HasSuffix(c.name, ".class") && !strings.HasSuffix(c.name, "module-info.class") && !strings.HasPrefix(c.name, "META-INF/") {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b class) int { return cmp.Compare(b.release, a.release) })
	return list
}
