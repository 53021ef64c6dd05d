package recipes

import (
	"regexp"
	"strconv"
	"strings"
)

// kind is the shape of a node.
type kind int

const (
	scalarNode kind = iota
	mappingNode
	listNode
)

// node is a value of a recipe file with its position: what is left of YAML
// once anchors, tags and styles are gone. Scalars keep their text as it was
// written, so that version 1.10 does not become 1.1.
type node struct {
	kind   kind
	at     pos
	text   string // of a scalar
	quoted bool   // a scalar that is text whatever it looks like
	// expanded is a scalar that held a variable. In flow style such a scalar
	// must be quoted, so quotes do not make it text.
	expanded bool
	items    []*node  // of a list
	keys     []*entry // of a mapping, in the order of the file
}

// entry is a key of a mapping and its value.
type entry struct {
	name  string
	at    pos // of the key
	value *node
}

// get returns the entry of a key, or nil.
func (n *node) get(name string) *entry {
	if n == nil {
		return nil
	}
	for _, e := range n.keys {
		if e.name == name {
			return e
		}
	}
	return nil
}

// set puts an entry in the place of the one with its name, or at the end.
func (n *node) set(e *entry) {
	for i, old := range n.keys {
		if old.name == e.name {
			n.keys[i] = e
			return
		}
	}
	n.keys = append(n.keys, e)
}

// remove drops a key.
func (n *node) remove(name string) {
	for i, e := range n.keys {
		if e.name == name {
			n.keys = append(n.keys[:i], n.keys[i+1:]...)
			return
		}
	}
}

// what names the shape of a node for people.
func (n *node) what() string {
	switch n.kind {
	case mappingNode:
		return "a mapping"
	case listNode:
		return "a list"
	}
	switch v := n.value().(type) {
	case nil:
		return "nothing"
	case bool:
		return strconv.FormatBool(v)
	case int64, uint64, float64:
		return "the number " + n.text
	}
	if len(n.text) > 40 {
		return "text"
	}
	return "the text " + strconv.Quote(n.text)
}

// isNull reports a scalar without a value.
func (n *node) isNull() bool {
	return n.kind == scalarNode && n.value() == nil
}

var decimal = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// value gives a scalar the type that the YAML 1.2 core schema gives its text:
// nil, bool, int64, float64 or string.
func (n *node) value() any {
	if n.quoted {
		return n.text
	}
	switch strings.ToLower(n.text) {
	case "", "~", "null":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	if !decimal.MatchString(n.text) {
		return n.text
	}
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(n.text, 64); err == nil {
		return f
	}
	return n.text
}

// plain turns a node into ordinary Go values.
func (n *node) plain() any {
	switch n.kind {
	case mappingNode:
		m := make(map[string]any, len(n.keys))
		for _, e := range n.keys {
			m[e.name] = e.value.plain()
		}
		return m
	case listNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	}
	return n.value()
}
