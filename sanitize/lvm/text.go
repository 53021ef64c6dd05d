package lvm

import (
	"fmt"
	"strconv"
	"strings"
)

// maxNesting bounds how deep sections nest; LVM writes four levels.
const maxNesting = 16

// section is a part of the metadata in braces: values and sections by name.
// A value is a string, an int64, or a list of these.
type section struct {
	values   map[string]any
	sections map[string]*section
	order    []string // of the sections
}

func (s *section) number(name string) int64 { n, _ := s.values[name].(int64); return n }
func (s *section) text(name string) string  { t, _ := s.values[name].(string); return t }
func (s *section) list(name string) []any   { l, _ := s.values[name].([]any); return l }

// sub returns a section, an empty one when it is not there.
func (s *section) sub(name string) *section {
	if x := s.sections[name]; x != nil {
		return x
	}
	return &section{}
}

// parseText parses the metadata of a volume group.
func parseText(text []byte) (*section, error) {
	p := &parser{tokens: tokens(string(text))}
	s, err := p.section(0)
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("there is a %q too much", p.tokens[p.at])
	}
	return s, err
}

// tokens splits text into words, strings with their opening quote, and
// punctuation; comments are left out.
func tokens(text string) []string {
	var list []string
	for i := 0; i < len(text); {
		c := text[i]
		end := i + 1
		switch {
		case c <= ' ':
			i++
			continue
		case c == '#':
			if end = strings.IndexByte(text[i:], '\n'); end < 0 {
				return list
			}
			i += end
			continue
		case c == '"':
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(text))
			list = append(list, text[i:end])
			i = end + 1
			continue
		case !strings.ContainsRune("{}[]=,", rune(c)):
			for end < len(text) && text[end] > ' ' && !strings.ContainsRune("{}[]=,#\"", rune(text[end])) {
				end++
			}
		}
		list = append(list, text[i:end])
		i = end
	}
	return list
}

type parser struct {
	tokens []string
	at     int
}

func (p *parser) next() string {
	if p.at == len(p.tokens) {
		return ""
	}
	p.at++
	return p.tokens[p.at-1]
}

// section parses up to the closing brace, or to the end at the top.
func (p *parser) section(depth int) (*section, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("sections nest deeper than %d", maxNesting)
	}
	s := &section{values: map[string]any{}, sections: map[string]*section{}}
	for {
		name := p.next()
		switch {
		case name == "" && depth == 0, name == "}" && depth > 0:
			return s, nil
		case name == "" || strings.ContainsAny(name, "{}[]=,\""):
			return nil, fmt.Errorf("%q where a name was due", name)
		}
		switch op := p.next(); op {
		case "{":
			sub, err := p.section(depth + 1)
			if err != nil {
				return nil, err
			}
			s.sections[name] = sub
			s.order = append(s.order, name)
		case "=":
			v, err := p.value()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			s.values[name] = v
		default:
			return nil, fmt.Errorf("%q behind %s", op, name)
		}
	}
}

func (p *parser) value() (any, error) {
	t := p.next()
	if t != "[" {
		return scalar(t)
	}
	list := []any{}
	for {
		switch t := p.next(); t {
		case "]":
			return list, nil
		case ",":
		default:
			v, err := scalar(t)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
}

func scalar(t string) (any, error) {
	if s, ok := strings.CutPrefix(t, `"`); ok {
		return s, nil
	}
	if n, err := strconv.ParseInt(t, 10, 64); err == nil {
		return n, nil
	}
	if _, err := strconv.ParseFloat(t, 64); err == nil {
		return t, nil
	}
	return nil, fmt.Errorf("%q where a value was due", t)
}
