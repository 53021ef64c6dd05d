package recipes

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteResolved prints a resolved recipe as YAML, with the place that each
// value came from behind it. What it prints is a recipe itself, which in the
// same folder resolves to the same digest. Paths are relative to the recipe's
// folder.
func WriteResolved(w io.Writer, r *Resolved) error {
	data, err := canonical(r.portable)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	root, err := jsonNode(d)
	if err != nil {
		return fmt.Errorf("reading recipe back: %w", err)
	}
	p := &printer{w: bufio.NewWriter(w), origins: r.Origins}
	p.mapping(root, reflect.TypeFor[Recipe](), "", "", "")
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("writing recipe: %w", err)
	}
	return nil
}

// MarshalJSON gives the digest, the recipe and the origins of its values.
// Paths are relative to the recipe's folder.
func (r *Resolved) MarshalJSON() ([]byte, error) {
	origins := make(map[string]string, len(r.Origins))
	for path, o := range r.Origins {
		origins[path] = o.String()
	}
	return json.Marshal(struct {
		Digest  string            `json:"digest"`
		Recipe  Recipe            `json:"recipe"`
		Origins map[string]string `json:"origins"`
	}{r.Digest, r.portable, origins})
}

// jsonNode reads a JSON value as a node, which keeps the order of keys.
func jsonNode(d *json.Decoder) (*node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{}
	switch t := t.(type) {
	case json.Delim:
		n.kind = listNode
		if t == '{' {
			n.kind = mappingNode
		}
		for d.More() {
			name := json.Token("")
			if n.kind == mappingNode {
				if name, err = d.Token(); err != nil {
					return nil, err
				}
			}
			value, err := jsonNode(d)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, value)
			n.keys = append(n.keys, &entry{name: fmt.Sprint(name), value: value})
		}
		_, err = d.Token()
	case string:
		n.text, n.quoted = t, true
	default:
		n.text = fmt.Sprint(t)
	}
	return n, err
}

// originColumn is where the origins stand, when the line is not longer.
const originColumn = 44

// printer writes block YAML. Errors stay in the writer until the end.
type printer struct {
	w       *bufio.Writer
	origins map[string]Origin
}

// line writes one line, with the origin of the value at path.
func (p *printer) line(text, path string) {
	pad := max(originColumn-utf8.RuneCountInString(text), 1)
	fmt.Fprintf(p.w, "%s%s# %s\n", text, strings.Repeat(" ", pad), p.origins[path])
}

// mapping writes the keys of a mapping. The first line begins with first, the
// others with indent.
func (p *printer) mapping(n *node, t reflect.Type, path, first, indent string) {
	for i, e := range n.keys {
		begin := indent
		if i == 0 {
			begin = first
		}
		p.value(e.value, typeAt(t, e.name), join(path, e.name), begin+quote(e.name)+":", indent+"  ")
	}
}

// value writes what stands behind a key.
func (p *printer) value(n *node, t reflect.Type, path, begin, indent string) {
	switch {
	case n.kind == scalarNode:
		p.line(begin+" "+scalarText(n, t), path)
	case len(n.items) == 0 && n.kind == listNode:
		p.line(begin+" []", path)
	case len(n.items) == 0:
		p.line(begin+" {}", path)
	case n.kind == mappingNode:
		fmt.Fprintln(p.w, begin)
		p.mapping(n, t, path, indent, indent)
	default:
		fmt.Fprintln(p.w, begin)
		for i, item := range n.items {
			p.item(item, t, index(path, i), indent)
		}
	}
}

// item writes one item of a list.
func (p *printer) item(n *node, t reflect.Type, path, indent string) {
	if n.kind == mappingNode && len(n.keys) > 0 {
		p.mapping(n, t, path, indent+"- ", indent+"  ")
		return
	}
	p.value(n, t, path, indent+"-", indent+"  ")
}

// scalarText writes a scalar as a recipe has it.
func scalarText(n *node, t reflect.Type) string {
	if t == reflect.TypeFor[Size]() {
		if s, err := ParseSize(n.text); err == nil {
			return s.String()
		}
	}
	if n.quoted && t != reflect.TypeFor[Duration]() {
		return quote(strings.ReplaceAll(n.text, "${", "$${"))
	}
	return n.text
}

// plainText is text that needs no quotes in YAML, wherever it stands.
var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./+-]*$`)

// quote writes text so that YAML reads it back as the same text. A JSON
// string is a YAML string too.
func quote(s string) string {
	n := node{text: s}
	if _, isText := n.value().(string); isText && plainText.MatchString(s) && !oldBoolean(s) {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// A string can always be encoded.
	_ = e.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}

// oldBoolean reports words that YAML 1.1 took for booleans.
func oldBoolean(s string) bool {
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(s))
}
