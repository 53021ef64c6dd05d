package files

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxMatches bounds what links that lead back into their own folder can yield.
const maxMatches = 1 << 20

// Match returns the entries of a tree whose absolute path matches a pattern.
// The pattern is that of path.Match, and ** stands for any number of folders.
//
// A folder that matches is taken with all that is in it. A link that matches
// is taken together with what it leads to, inside the tree; a link that leads
// nowhere is an error. A file that is reached through a linked folder stands
// at the path by which it was reached, as a file.
func Match(tree, pattern string) ([]Entry, error) {
	if _, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), "/"); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	m := &matcher{tree: tree, seen: map[string]bool{}}
	err := m.descend("/", elements(path.Clean("/"+pattern)))
	return m.entries, err
}

type matcher struct {
	tree    string
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
	real, err := Resolve(m.tree, dir)
	if err != nil {
		return nil // nothing there: nothing matches
	}
	list, err := os.ReadDir(filepath.Join(m.tree, real))
	if err != nil {
		return nil // not a folder
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
	if len(rest) > 0 {
		return m.descend(name, rest)
	}
	dir, err := Resolve(m.tree, path.Dir(name))
	if err != nil {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(m.tree, dir, path.Base(name))); err != nil {
		return nil
	}
	return m.take(name)
}

// take adds a file, a folder with its content, or a link with its target.
func (m *matcher) take(name string) error {
	if m.seen[name] {
		return nil
	}
	if len(m.seen) >= maxMatches {
		return fmt.Errorf("taking %s: more than %d files match", name, maxMatches)
	}
	m.seen[name] = true
	real, err := Resolve(m.tree, name)
	if os.IsNotExist(err) {
		return fmt.Errorf("%s is a link to a file which is not there", name)
	}
	if err != nil {
		return fmt.Errorf("taking %s: %w", name, err)
	}
	dir, err := Resolve(m.tree, path.Dir(name))
	if err != nil {
		return fmt.Errorf("taking %s: %w", name, err)
	}
	host := real
	if dir == path.Dir(name) {
		host = name // a link stays a link where its target means the same
	}
	e, err := newEntry(filepath.Join(m.tree, host), name)
	if err != nil {
		return fmt.Errorf("taking %s: %w", name, err)
	}
	m.entries = append(m.entries, e)
	if e.Link != "" {
		return m.follow(name, e.Link, real)
	}
	if !e.Dir {
		return nil
	}
	list, err := os.ReadDir(filepath.Join(m.tree, real))
	if err != nil {
		return err
	}
	for _, d := range list {
		if err := m.take(path.Join(name, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// follow takes the target of a link by the path that the link names. When that
// goes through a linked folder, what it leads to is taken there.
func (m *matcher) follow(name, target, real string) error {
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(name), target)
	}
	target = path.Clean("/" + target)
	if r, err := Resolve(m.tree, target); err != nil || r != real {
		target = real
	}
	return m.take(target)
}
