package xva

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a description.
const (
	maxDepth  = 32
	maxValues = 500_000
)

// decode reads a value of XML-RPC: a string, whatever its type is called, a
// []any, or a map[string]any.
func decode(text []byte) (any, error) {
	d := &decoder{x: xml.NewDecoder(bytes.NewReader(text))}
	d.x.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("the character set %q is not supported", charset)
	}
	if err := d.enter("value"); err != nil {
		return nil, err
	}
	return d.value(0)
}

type decoder struct {
	x      *xml.Decoder
	values int
}

// next returns the next tag, or the text before it. What else XML has is
// passed over.
func (d *decoder) next() (xml.Token, string, error) {
	var text strings.Builder
	for {
		t, err := d.x.Token()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement, xml.EndElement:
			return t, text.String(), nil
		}
	}
}

// enter reads the beginning of an element.
func (d *decoder) enter(name string) error {
	t, _, err := d.next()
	if err != nil {
		return err
	}
	if s, ok := t.(xml.StartElement); !ok || s.Name.Local != name {
		return fmt.Errorf("there is no <%s> at byte %d", name, d.x.InputOffset())
	}
	return nil
}

// leave reads the end of the element that was entered last.
func (d *decoder) leave() error {
	t, _, err := d.next()
	if err != nil {
		return err
	}
	if _, ok := t.(xml.EndElement); !ok {
		return fmt.Errorf("an element has more than it should at byte %d", d.x.InputOffset())
	}
	return nil
}

// value reads what is in a <value>, and its end.
func (d *decoder) value(depth int) (any, error) {
	if d.values++; depth > maxDepth || d.values > maxValues {
		return nil, fmt.Errorf("it has more than %d values, or more than %d within each other", maxValues, maxDepth)
	}
	t, text, err := d.next()
	if err != nil {
		return nil, err
	}
	s, ok := t.(xml.StartElement)
	if !ok {
		return text, nil // the end of the value: without a type it is a string
	}
	var v any
	switch s.Name.Local {
	case "struct":
		v, err = d.structure(depth)
	case "array":
		v, err = d.array(depth)
	default:
		v, err = d.scalar()
	}
	if err != nil {
		return nil, err
	}
	return v, d.leave()
}

// scalar reads a text up to the end of its element.
func (d *decoder) scalar() (string, error) {
	t, text, err := d.next()
	if _, ok := t.(xml.EndElement); err == nil && !ok {
		err = fmt.Errorf("a value is not plain text at byte %d", d.x.InputOffset())
	}
	return text, err
}

// structure reads members up to the end of a <struct>. The last of a name
// counts.
func (d *decoder) structure(depth int) (map[string]any, error) {
	members := map[string]any{}
	for {
		t, _, err := d.next()
		if err != nil {
			return nil, err
		}
		if _, end := t.(xml.EndElement); end {
			return members, nil
		}
		if err := d.enter("name"); err != nil {
			return nil, err
		}
		name, err := d.scalar()
		if err == nil {
			err = d.enter("value")
		}
		if err == nil {
			members[name], err = d.value(depth + 1)
		}
		if err == nil {
			err = d.leave()
		}
		if err != nil {
			return nil, err
		}
	}
}

// array reads the values of an <array>, and its end.
func (d *decoder) array(depth int) ([]any, error) {
	if err := d.enter("data"); err != nil {
		return nil, err
	}
	items := []any{}
	for {
		t, _, err := d.next()
		if err != nil {
			return nil, err
		}
		if _, end := t.(xml.EndElement); end {
			return items, d.leave()
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
}

// fields are the members of a struct by name, with what is told as text.
type fields map[string]any

// text returns a member that is text; "" for others.
func (f fields) text(name string) string {
	s, _ := f[name].(string)
	return s
}

// within returns a member that is a struct; an empty one for others.
func (f fields) within(name string) fields {
	m, _ := f[name].(map[string]any)
	return m
}
