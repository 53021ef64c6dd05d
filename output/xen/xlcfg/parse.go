package xlcfg

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds of what is read.
const (
	MaxSize   = 1 << 20 // bytes
	maxValues = 10_000  // in all lists together
)

// Parse reads a configuration (the grammar of libxlu_cfg_y.y and
// libxlu_cfg_l.l of Xen).
func Parse(text []byte) (Config, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the configuration has %d bytes, more than %d", len(text), MaxSize)
	}
	p := &parser{text: string(text), line: 1}
	c := Config{}
	for {
		p.skip(" \t\r\n;")
		if p.text == "" {
			return c, nil
		}
		key, value, err := p.setting()
		if err != nil {
			return nil, fmt.Errorf("line %d of the configuration: %w", p.line, err)
		}
		c[key] = value
	}
}

type parser struct {
	text   string // what is left
	line   int
	values int
}

// skip passes over characters of a set, and comments.
func (p *parser) skip(set string) {
	for p.text != "" {
		switch c := p.text[0]; {
		case c == '#':
			if end := strings.IndexByte(p.text, '\n'); end >= 0 {
				p.text = p.text[end:]
			} else {
				p.text = ""
			}
		case strings.IndexByte(set, c) >= 0:
			if c == '\n' {
				p.line++
			}
			p.text = p.text[1:]
		default:
			return
		}
	}
}

func (p *parser) setting() (string, Value, error) {
	key := p.word(isKey)
	if key == "" {
		return "", Value{}, fmt.Errorf("a setting begins with a key, not with %.20q", p.text)
	}
	p.skip(" \t")
	p.take('+') // "+=" of newer xl: its lists are told as they stand
	if !p.take('=') {
		return "", Value{}, fmt.Errorf("there is no = behind %s", key)
	}
	p.skip(" \t")
	v, err := p.value()
	if err != nil {
		return "", Value{}, fmt.Errorf("the value of %s: %w", key, err)
	}
	p.skip(" \t\r")
	if p.text != "" && p.text[0] != '\n' && p.text[0] != ';' {
		return "", Value{}, fmt.Errorf("behind the value of %s stands %.20q", key, p.text)
	}
	return key, v, nil
}

func (p *parser) value() (Value, error) {
	if !p.take('[') {
		text, err := p.atom()
		return Value{Text: text}, err
	}
	v := Value{IsList: true}
	for {
		p.skip(" \t\r\n")
		if p.take(']') {
			return v, nil
		}
		text, err := p.atom()
		if err != nil {
			return v, err
		}
		if p.values++; p.values > maxValues {
			return v, fmt.Errorf("there are more than %d values in lists", maxValues)
		}
		v.List = append(v.List, text)
		p.skip(" \t\r\n")
		if !p.take(',') && (p.text == "" || p.text[0] != ']') {
			return v, errors.New("the list has no end")
		}
	}
}

// atom reads a string or a number.
func (p *parser) atom() (string, error) {
	for _, quote := range []byte{'"', '\''} {
		if p.take(quote) {
			return p.quoted(quote)
		}
	}
	if word := p.word(isNumber); word != "" {
		return word, nil
	}
	return "", fmt.Errorf("%.20q is neither a string nor a number", p.text)
}

func (p *parser) take(c byte) bool {
	if p.text == "" || p.text[0] != c {
		return false
	}
	p.text = p.text[1:]
	return true
}

func (p *parser) word(is func(c byte) bool) string {
	n := 0
	for n < len(p.text) && is(p.text[n]) {
		n++
	}
	word := p.text[:n]
	p.text = p.text[n:]
	return word
}

func isKey(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isNumber takes the letters of hexadecimal numbers, and those of Python's
// words True, False and None.
func isNumber(c byte) bool { return isKey(c) || c == '-' || c == '.' }
