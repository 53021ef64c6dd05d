package recipes

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// step is one part of the path of an override: a key, or the place in a list
// when key is empty.
type step struct {
	key   string
	index int
}

var stepPattern = regexp.MustCompile(`^(?:\.?([A-Za-z0-9_-]+)|\[([0-9]{1,5})\]|\["([^"]+)"\])`)

// splitPath reads app.args[0] or guest.sysctl["vm.swappiness"].
func splitPath(path string) ([]step, error) {
	var steps []step
	for rest := path; rest != ""; {
		m := stepPattern.FindStringSubmatch(rest)
		if m == nil || len(steps) == 0 && (rest[0] == '.' || rest[0] == '[') || len(steps) > maxDepth {
			return nil, fmt.Errorf("%q is not a path; write app.jar, outputs[0] or guest.sysctl[\"vm.swappiness\"]", path)
		}
		s := step{key: m[1] + m[3]}
		if m[2] != "" {
			s.index, _ = strconv.Atoi(m[2])
		}
		steps = append(steps, s)
		rest = rest[len(m[0]):]
		if len(steps) > 0 && rest != "" && rest[0] != '.' && rest[0] != '[' {
			return nil, fmt.Errorf("%q is not a path", path)
		}
	}
	return steps, nil
}

// override applies "path=value" to the tree and returns the new one. dir is
// where relative paths in the value start.
func override(root *node, flag, dir string, p *problems) *node {
	src := &source{name: "--set " + flag, dir: dir}
	whole := pos{file: src}
	path, text, ok := strings.Cut(flag, "=")
	if !ok || path == "" {
		p.add(whole, "", "write --set app.jar=hello.jar", "an override is a path and a value")
		return root
	}
	steps, err := splitPath(path)
	if err != nil {
		p.add(whole, path, "", "%v", err)
		return root
	}
	if steps[0].key == "include" {
		p.add(whole, path, "", "`include` cannot be overridden")
		return root
	}
	value := &node{at: whole, quoted: true}
	if text != "" {
		value = overrideValue(src, text, p)
	}
	if value == nil {
		return root
	}
	out, err := apply(root, steps, value, reflect.TypeFor[Recipe]())
	if err != nil {
		p.add(whole, path, "", "%v", err)
		return root
	}
	return out
}

// overrideValue parses the value as YAML; its positions are the flag itself.
func overrideValue(src *source, text string, p *problems) *node {
	own := &problems{}
	value := parseYAML(newSource(src.name, src.dir, []byte(text)), []byte(text), own)
	for _, e := range own.list {
		e.Line, e.Col, e.Excerpt = 0, 0, ""
		p.list = append(p.list, e)
	}
	if value != nil {
		value.move(pos{file: src})
	}
	return value
}

// move sets the position of a node and all below it.
func (n *node) move(at pos) {
	n.at = at
	for _, e := range n.keys {
		e.at = at
		e.value.move(at)
	}
	for _, item := range n.items {
		item.move(at)
	}
}

// apply returns n with the value at the end of the steps replaced.
func apply(n *node, steps []step, value *node, t reflect.Type) (*node, error) {
	if len(steps) == 0 {
		return value, nil
	}
	s := steps[0]
	if s.key == "" {
		return applyIndex(n, steps, value, t)
	}
	out := &node{kind: mappingNode, at: value.at}
	if n != nil && n.kind == mappingNode {
		out.at = n.at
		out.keys = append(out.keys, n.keys...)
	}
	var child *node
	e := &entry{name: s.key, at: value.at}
	if old := out.get(s.key); old != nil {
		child, e.at = old.value, old.at
	}
	below, err := apply(child, steps[1:], value, typeAt(t, s.key))
	if err != nil {
		return nil, err
	}
	dropRivals(out, s.key, t)
	e.value = below
	out.set(e)
	return out, nil
}

// applyIndex replaces an item of a list, or appends one right behind its end.
func applyIndex(n *node, steps []step, value *node, t reflect.Type) (*node, error) {
	out, i := &node{kind: listNode, at: value.at}, steps[0].index
	if n != nil && n.kind == listNode {
		out.at = n.at
		out.items = append(out.items, n.items...)
	}
	if i > len(out.items) {
		return nil, fmt.Errorf("the list has %d items; the next is [%d], not [%d]", len(out.items), len(out.items), i)
	}
	var child *node
	if i < len(out.items) {
		child = out.items[i]
	} else {
		out.items = append(out.items, nil)
	}
	item, err := apply(child, steps[1:], value, t)
	if err != nil {
		return nil, err
	}
	out.items[i] = item
	return out, nil
}
