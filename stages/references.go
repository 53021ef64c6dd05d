package stages

import (
	"archive/zip"
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
		Version: 2,
		Inputs:  append(slices.Clone(jdk), from(app, "layer"), from(app, "classpath")),
	}, struct{}{})
}

// readReferences is the runner. Its output is a jar of stubs.
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
	jar, err := put(ctx, w.Store, mediaTypeJar, func(out io.Writer) error {
		return mergeClasses(root, strings.Fields(string(list)), jdk.feature, out)
	})
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"jar": jar}, nil
}

// versionsPrefix is where a multi-release jar keeps the classes for newer
// releases (JAR File Specification, "Multi-release JAR files").
const versionsPrefix = "META-INF/versions/"

// mergeClasses writes one jar with a stub of every class that the class path
// offers: of each the one that the JVM of that feature release would load. Module
// descriptors are left out: jdeps would resolve named modules by rules that do
// not hold on a class path, and stop at the first optional one that is missing.
func mergeClasses(root *os.Root, classPath []string, feature int, out io.Writer) error {
	merged := zip.NewWriter(out)
	seen := map[string]bool{}
	for _, guest := range classPath {
		if err := addClasses(merged, root, guest, feature, seen); err != nil {
			return fmt.Errorf("reading %s: %w", guest, err)
		}
	}
	return merged.Close()
}

func addClasses(merged *zip.Writer, root *os.Root, guest string, feature int, seen map[string]bool) error {
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
	for _, c := range classesFor(z.File, feature) {
		if seen[c.name] {
			continue // an earlier jar has it
		}
		seen[c.name] = true
		stub, err := readStub(c.file)
		if err != nil {
			return fmt.Errorf("%s: %w", c.file.Name, err)
		}
		w, err := merged.CreateHeader(&zip.FileHeader{Name: c.name, Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := w.Write(stub); err != nil {
			return err
		}
	}
	return nil
}

// maxClass bounds a class file, in bytes. The largest in use have a few MiB.
const maxClass = 64 << 20

// readStub reads the stub of a class; of one that has none, the class itself.
func readStub(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxClass+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxClass {
		return nil, fmt.Errorf("the class has more than %d bytes", maxClass)
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
		if strings.HasSuffix(c.name, ".class") && !strings.HasSuffix(c.name, "module-info.class") && !strings.HasPrefix(c.name, "META-INF/") {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b class) int { return cmp.Compare(b.release, a.release) })
	return list
}
