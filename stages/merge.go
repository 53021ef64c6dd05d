package stages

import (
	"archive/zip"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// versionsPrefix is where a multi-release jar keeps the classes for newer
// releases (JAR File Specification, "Multi-release JAR files").
const versionsPrefix = "META-INF/versions/"

// mergeClasses writes one jar with every class that the class path offers: of
// each the one that the JVM of that feature release would load. Module
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
		h := c.file.FileHeader
		h.Name = c.name
		w, err := merged.CreateRaw(&h)
		if err != nil {
			return err
		}
		r, err := c.file.OpenRaw()
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	return nil
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
