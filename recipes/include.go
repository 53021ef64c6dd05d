package recipes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Bounds of includes.
const (
	maxIncludeDepth = 16
	maxIncludeFiles = 100
)

// loader reads a recipe file and what it includes into one tree.
type loader struct {
	problems *problems
	open     []string // absolute paths of the files being read
	files    int
}

// load reads the file at path, whose name for people is name. It returns nil
// when there is nothing to go on with; the reason is among the problems, or
// is the error when the file cannot be read.
func (l *loader) load(path, name string) (*node, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	src := newSource(name, filepath.Dir(path), data)
	root := parseYAML(src, data, l.problems)
	if root == nil {
		return nil, nil
	}
	if root.kind != mappingNode {
		l.problems.add(root.at, "", "", "a recipe is a mapping, found %s", root.what())
		return nil, nil
	}
	l.open = append(l.open, path)
	defer func() { l.open = l.open[:len(l.open)-1] }()
	return l.includes(root, src), nil
}

// includes lays root over the files that it includes, in their order.
func (l *loader) includes(root *node, src *source) *node {
	e := root.get("include")
	if e == nil {
		return root
	}
	root.remove("include")
	if e.value.kind != listNode {
		l.problems.add(e.value.at, "include", "write it as a list: [base.yaml]", "`include` is a list of files, found %s", e.value.what())
		return root
	}
	var base *node
	for i, item := range e.value.items {
		if included := l.include(item, index("include", i), src); included != nil {
			base = merge(base, included, reflect.TypeFor[Recipe]())
		}
	}
	return merge(base, root, reflect.TypeFor[Recipe]())
}

// include loads one file that src includes.
func (l *loader) include(item *node, at string, src *source) *node {
	if item.kind != scalarNode || item.text == "" {
		l.problems.add(item.at, at, "", "`%s` is the path of a recipe file, found %s", at, item.what())
		return nil
	}
	if strings.Contains(item.text, "${") {
		l.problems.add(item.at, at, "write the path out", "`%s` cannot hold variables: files are included before variables are known", at)
		return nil
	}
	path, name := item.text, item.text
	if !filepath.IsAbs(path) {
		path, name = filepath.Join(src.dir, path), filepath.Join(filepath.Dir(src.name), path)
	}
	for _, open := range l.open {
		if open == path {
			l.problems.add(item.at, at, "", "%s includes itself: %s", item.text, l.chain(path))
			return nil
		}
	}
	if l.files++; l.files > maxIncludeFiles || len(l.open) >= maxIncludeDepth {
		l.problems.add(item.at, at, "", "more than %d files, or more than %d levels of files, are included", maxIncludeFiles, maxIncludeDepth)
		return nil
	}
	root, err := l.load(path, name)
	if err != nil {
		l.problems.add(item.at, at, "paths start at the folder of the file that includes", "including %s: %v", item.text, reason(err))
	}
	return root
}

// chain draws the way from the first file to path.
func (l *loader) chain(path string) string {
	var names []string
	for _, p := range append(l.open[:len(l.open):len(l.open)], path) {
		names = append(names, filepath.Base(p))
	}
	return strings.Join(names, " → ")
}

// readFile reads a recipe file, but not much more than one may have.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// reason is what the system said, without the path that the message names
// already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
