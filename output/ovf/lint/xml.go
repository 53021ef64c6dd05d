package lint

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/output/ovf"
)

// Bounds of a descriptor's elements.
const (
	maxElements = 200_000
	maxDepth    = 64
)

// element is an element of the descriptor as it was written: the order and
// the prefixes matter here.
type element struct {
	prefix, space, name string
	attrs               []attribute
	children            []*element
	text                []byte
	line                int
}

type attribute struct {
	prefix, name, value string
}

// parser builds the tree.
type parser struct {
	open   []*element
	spaces []map[string]string // by prefix, one for each open element
	count  int
	root   *element
}

// parse reads the descriptor into a tree.
func parse(text []byte) (*element, error) {
	d := ovf.NewDecoder(text)
	p := &parser{}
	for {
		line, _ := d.InputPos()
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) && p.root != nil {
			return p.root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := p.start(t, line); err != nil {
				return nil, err
			}
		case xml.EndElement:
			if len(p.open) > 0 {
				p.open, p.spaces = p.open[:len(p.open)-1], p.spaces[:len(p.spaces)-1]
			}
		case xml.CharData:
			if n := len(p.open); n > 0 && len(p.open[n-1].children) == 0 {
				p.open[n-1].text = append(p.open[n-1].text, t...)
			}
		}
	}
}

func (p *parser) start(t xml.StartElement, line int) error {
	if p.count++; p.count > maxElements || len(p.open) >= maxDepth {
		return fmt.Errorf("there are more than %d elements, or %d levels of them", maxElements, maxDepth)
	}
	e := &element{prefix: t.Name.Space, name: t.Name.Local, line: line}
	spaces := map[string]string{}
	for _, a := range t.Attr {
		switch {
		case a.Name.Space == "xmlns":
			spaces[a.Name.Local] = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			spaces[""] = a.Value
		default:
			e.attrs = append(e.attrs, attribute{a.Name.Space, a.Name.Local, a.Value})
		}
	}
	p.spaces = append(p.spaces, spaces)
	for i := len(p.spaces) - 1; i >= 0 && e.space == ""; i-- {
		e.space = p.spaces[i][e.prefix]
	}
	if n := len(p.open); n > 0 {
		p.open[n-1].children = append(p.open[n-1].children, e)
	} else if p.root == nil {
		p.root = e
	}
	p.open = append(p.open, e)
	return nil
}

// child returns the first child of a name, or nil.
func (e *element) child(name string) *element {
	for _, c := range e.all(name) {
		return c
	}
	return nil
}

// all returns the children of a name. Those of nil are none.
func (e *element) all(name string) []*element {
	var list []*element
	if e == nil {
		return nil
	}
	for _, c := range e.children {
		if c.name == name {
			list = append(list, c)
		}
	}
	return list
}

// below returns the elements of a name at any depth.
func (e *element) below(name string) []*element {
	if e == nil {
		return nil
	}
	list := e.all(name)
	for _, c := range e.children {
		list = append(list, c.below(name)...)
	}
	return list
}

// attr returns the value of an attribute, whatever its prefix; "" for none.
func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// value returns the text of a child; "" for none.
func (e *element) value(name string) string {
	if c := e.child(name); c != nil {
		return c.trimmed()
	}
	return ""
}

// trimmed returns the text of an element without blanks around it.
func (e *element) trimmed() string { return strings.TrimSpace(string(e.text)) }
