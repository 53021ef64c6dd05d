package xlcfg

import (
	"errors"
	"strconv"
	"strings"
)

// quoted reads a string up to its closing quote.
func (p *parser) quoted(quote byte) (string, error) {
	var b strings.Builder
	for p.text != "" {
		c := p.text[0]
		p.text = p.text[1:]
		switch c {
		case quote:
			return b.String(), nil
		case '\n':
			return "", errors.New("the string has no end")
		case '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("the string has no end")
}

// escapes are those of one letter (xlu__cfgl_dequote of Xen).
var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// escape reads what stands behind a backslash.
func (p *parser) escape(b *strings.Builder) error {
	if p.text == "" || p.text[0] == '\n' {
		return errors.New("the string has no end")
	}
	c := p.text[0]
	letter, known := escapes[c]
	switch {
	case known:
		b.WriteByte(letter)
	case c == 'x':
		return p.number(b, 1, 3, 16)
	case c >= '0' && c <= '7':
		return p.number(b, 0, 3, 8)
	default:
		b.WriteByte(c)
	}
	p.text = p.text[1:]
	return nil
}

// number reads a byte of digits between two places, in a base.
func (p *parser) number(b *strings.Builder, from, to, base int) error {
	if len(p.text) < to {
		return errors.New("an escape in a string is cut short")
	}
	n, err := strconv.ParseUint(p.text[from:to], base, 8)
	if err != nil {
		return errors.New("an escape in a string is not a number")
	}
	b.WriteByte(byte(n))
	p.text = p.text[to:]
	return nil
}
