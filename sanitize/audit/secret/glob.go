package secret

import (
	"regexp"
	"strings"
)

// glob is a pattern of paths. "**/" is any number of folders, "*" any part of
// a name, "?" a character.
type glob struct {
	re *regexp.Regexp
	// prefix and suffix are what every match begins and ends with, inner is in
	// it: they spare the expression for most of a hundred thousand files.
	prefix, suffix, inner string
}

// match reports whether the whole path is meant.
func (g *glob) match(path string) bool {
	return strings.HasPrefix(path, g.prefix) && strings.HasSuffix(path, g.suffix) && strings.Contains(path, g.inner) && g.re.MatchString(path)
}

// compileGlob turns a pattern into an expression.
func compileGlob(text string) (*glob, error) {
	const wild = "*?"
	g := &glob{prefix: text, suffix: text}
	if i := strings.IndexAny(text, wild); i >= 0 {
		g.prefix = text[:i]
	}
	if i := strings.LastIndexAny(text, wild); i >= 0 {
		// The slash of "**/" belongs to what may be missing.
		g.suffix = strings.TrimPrefix(text[i+1:], "/")
	}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(wild, r) }) {
		if part = strings.TrimPrefix(part, "/"); len(part) > len(g.inner) {
			g.inner = part
		}
	}
	var s strings.Builder
	s.WriteString(`(?s)\A`)
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**/"):
			s.WriteString(`(?:.*/)?`)
			rest = rest[3:]
		case strings.HasPrefix(rest, "**"):
			s.WriteString(`.*`)
			rest = rest[2:]
		case rest[0] == '*':
			s.WriteString(`[^/]*`)
			rest = rest[1:]
		case rest[0] == '?':
			s.WriteString(`[^/]`)
			rest = rest[1:]
		default:
			n := strings.IndexAny(rest, wild)
			if n < 0 {
				n = len(rest)
			}
			s.WriteString(regexp.QuoteMeta(rest[:n]))
			rest = rest[n:]
		}
	}
	s.WriteString(`\z`)
	var err error
	g.re, err = regexp.Compile(s.String())
	return g, err
}
