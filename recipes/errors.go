package recipes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/imgbuild/imgbuild/fault"
)

// Error is one thing that is wrong with a recipe.
type Error struct {
	// File is the name of the file as the caller gave it, or the override
	// ("--set app.ports=x") that holds the mistake.
	File string
	// Line and Col count from 1, Col in characters. Both are 0 for an
	// override.
	Line, Col int
	// Path is the place in the recipe, like app.ports[0]; it may be empty.
	Path string
	// Message says what is wrong, Hint what to do about it; Hint may be empty.
	Message, Hint string
	// Excerpt is the source line with a caret below, as two lines; it is
	// empty for an override.
	Excerpt string
}

// Error gives the position and the message, the excerpt and the hint, on
// several lines.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
	} else {
		fmt.Fprintf(&b, "%s: %s", e.File, e.Message)
	}
	if e.Excerpt != "" {
		b.WriteString("\n" + e.Excerpt)
	}
	if e.Hint != "" {
		b.WriteString("\n  hint: " + e.Hint)
	}
	return b.String()
}

// Errors is everything that is wrong with a recipe, in the order of the
// files. [Parse] and [Resolve] return it wrapped as [fault.Recipe], or as
// [fault.Input] when the recipe is sound but a local file is missing.
type Errors []*Error

// Error prints every error, an empty line between them.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n\n")
}

// Unwrap gives each error to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}

// maxErrors bounds what a broken file can make us say.
const maxErrors = 200

// problems collects errors while the work goes on.
type problems struct {
	list Errors
}

// full reports that further problems would not be shown.
func (p *problems) full() bool { return len(p.list) >= maxErrors }

// add records a problem at a position. The hint may be empty.
func (p *problems) add(at pos, path, hint, format string, args ...any) {
	if p.full() {
		return
	}
	e := &Error{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
	e.File, e.Line, e.Col = at.file.name, at.line, at.col
	e.Excerpt = excerpt(at)
	p.list = append(p.list, e)
}

// err returns the problems sorted and without doubles, wrapped with kind; nil
// when there are none.
func (p *problems) err(kind fault.Kind) error {
	if len(p.list) == 0 {
		return nil
	}
	list := slices.Clone(p.list)
	slices.SortStableFunc(list, func(a, b *Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Col-b.Col)
	})
	list = slices.CompactFunc(list, func(a, b *Error) bool { return *a == *b })
	return fault.New(kind, list)
}

// source is a text that positions point into.
type source struct {
	name  string
	dir   string // relative paths in the text start here
	lines []string
}

// pos is a place in a source; line 0 means the source as a whole.
type pos struct {
	file      *source
	line, col int
}

func (p pos) String() string {
	if p.line == 0 {
		return p.file.name
	}
	return fmt.Sprintf("%s:%d:%d", p.file.name, p.line, p.col)
}

// maxExcerpt is the width of an excerpt in characters; a longer line is cut
// around the caret.
const maxExcerpt = 100

// excerpt draws the line of a position and a caret below its column.
func excerpt(p pos) string {
	if p.line < 1 || p.line > len(p.file.lines) {
		return ""
	}
	line := []rune(strings.Map(printable, p.file.lines[p.line-1]))
	caret := min(max(p.col-1, 0), len(line))
	if len(line) > maxExcerpt {
		from := max(0, min(caret-maxExcerpt/2, len(line)-maxExcerpt))
		line, caret = line[from:from+maxExcerpt], caret-from
	}
	gutter := fmt.Sprintf("%5d | ", p.line)
	return gutter + strings.TrimRight(string(line), " ") + "\n" +
		strings.Repeat(" ", len(gutter)-2) + "| " + strings.Repeat(" ", caret) + "^"
}

// printable keeps an excerpt one column per character, and terminals safe
// from control characters.
func printable(r rune) rune {
	if r == '\t' || r == '\r' {
		return ' '
	}
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
		return '?'
	}
	return r
}
