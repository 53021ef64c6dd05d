package files

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks bounds how many links are followed from one file.
const maxLinks = 40

// Match returns the entries of a tree whose absolute path matches a pattern,
// in the order of paths. The pattern is that of path.Match, and ** stands for
// any number of folders. A folder that matches is taken with all that is in
// it. A link that matches is taken together with what it leads to, inside the
// tree; a link that leads nowhere or out of the tree is an error.
func Match(tree, pattern string) ([]Entry, error) {
	if _, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), "/"); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	m := &matcher{tree: tree, root: root, seen: map[string]bool{}}
	parts := strings.Split(strings.Trim(pattern, "/"), "/")
	err = m.descend("/", parts)
	return m.entries, err
}

type matcher struct {
	tree    string
	root    *os.Root
	seen    map[string]bool
	entries []Entry
}

// descend matches the rest of a pattern below a folder.
func (m *matcher) descend(dir string, parts []string) error {
	if len(parts) == 0 {
		return nil
	}
	if parts[0] == "**" {
		if err := m.descend(dir, parts[1:]); err != nil {
			return err
		}
	} else if !strings.ContainsAny(parts[0], "*?[\\") {
		return m.visit(path.Join(dir, parts[0]), parts[1:])
	}
	list, err := fs.ReadDir(m.root.FS(), rel(dir))
	if err != nil {
		return nil // not a folder, or not there: nothing matches
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if parts[0] == "**" {
			if d.IsDir() {
				err = m.descend(name, parts)
			}
		} else if ok, _ := path.Match(parts[0], d.Name()); ok {
			err = m.visit(name, parts[1:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit goes on below name, or takes it when the pattern ends there.
func (m *matcher) visit(name string, rest []string) error {
	if _, err := m.root.Lstat(rel(name)); err != nil {
		return nil
	}
	if len(rest) > 0 {
		return m.descend(name, rest)
	}
	return m.take(name, 0)
}

// take adds a file, a folder with its content, or a link with its target.
func (m *matcher) take(name string, links int) error {
	if m.seen[name] {
		return nil
	}
	if links > maxLinks {
		return fmt.Errorf("%s: too many links", name)
	}
	m.seen[name] = true
	e, err := newEntry(filepath.Join(m.tree, name), name)
	if err != nil {
		return fmt.Errorf("taking %s: %w", name, err)
	}
	m.entries = append(m.entries, e)
	switch {
	case e.Link != "":
		target := e.Link
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		if _, err := m.root.Lstat(rel(target)); err != nil {
			return fmt.Errorf("%s is a link to %s, which is not there", name, e.Link)
		}
		return m.take(path.Clean(target), links+1)
	case e.Dir:
		list, err := fs.ReadDir(m.root.FS(), rel(name))
		if err != nil {
			return err
		}
		for _, d := range list {
			if err := m.take(path.Join(name, d.Name()), links); err != nil {
				return err
			}
		}
	}
	return nil
}

// rel makes a path of the tree relative to it.
func rel(name string) string {
	if name = strings.TrimPrefix(path.Clean(name), "/"); name == "" {
		return "."
	}
	return name
}
