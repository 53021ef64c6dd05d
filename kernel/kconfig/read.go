package kconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// reader follows source lines.
type reader struct {
	fsys    fs.FS
	symbols Symbols
	files   int
}

// file reads one file below the conditions of the blocks around its source
// line.
func (r *reader) file(name string, depth int, around []string) error {
	if r.files++; r.files > maxFiles || depth > maxDepth {
		return fmt.Errorf("%s: %d files, %d deep, are too many", name, r.files, depth)
	}
	info, err := fs.Stat(r.fsys, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%s: it has %d bytes", name, info.Size())
	}
	if err != nil {
		return err
	}
	text, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return err
	}
	p := parser{reader: r, name: name, depth: depth, lines: joined(string(text)), around: [][]string{slices.Clip(around)}}
	return p.run()
}

// line is a logical line: those that end in a backslash are joined.
type line struct {
	number int // of its first part
	text   string
}

func joined(text string) []line {
	var lines []line
	number, open := 0, false
	for part := range strings.SplitSeq(text, "\n") {
		number++
		rest, continued := strings.CutSuffix(part, "\\")
		if open {
			last := &lines[len(lines)-1].text
			*last = strings.TrimRight(*last, " \t") + " " + strings.TrimSpace(rest)
		} else {
			lines = append(lines, line{number, rest})
		}
		open = continued
	}
	return lines
}

// parser reads the lines of a file.
type parser struct {
	*reader
	name   string
	depth  int
	lines  []line
	at     int
	around [][]string  // conditions inside each open if, menu and choice, outermost first
	entry  *Definition // the symbol being read, or nil
	symbol string
}

func (p *parser) run() error {
	for p.at = 0; p.at < len(p.lines); p.at++ {
		if err := p.statement(p.lines[p.at]); err != nil {
			return err
		}
	}
	p.finish()
	return nil
}

// statement reads one line.
func (p *parser) statement(l line) error {
	text := strings.TrimSpace(l.text)
	word, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "config", "menuconfig":
		p.finish()
		p.symbol, p.entry = rest, &Definition{File: p.name, Line: l.number, Depends: p.conditions()}
	case "if":
		p.open(rest)
	case "menu", "choice":
		p.open("")
	case "endif", "endmenu", "endchoice":
		p.finish()
		if len(p.around) > 1 {
			p.around = p.around[:len(p.around)-1]
		}
	case "comment", "mainmenu":
		p.finish()
		p.entry = &Definition{} // its attributes belong to no symbol
	case "source", "osource":
		p.finish()
		name := strings.ReplaceAll(strings.Trim(rest, `"`), "$(SRCARCH)", Arch)
		return p.file(name, p.depth+1, p.conditions())
	default:
		p.attribute(word, rest, indent(l.text))
	}
	return nil
}

// open begins a block.
func (p *parser) open(condition string) {
	p.finish()
	conditions := p.conditions()
	if condition != "" {
		conditions = append(conditions, condition)
	}
	p.around = append(p.around, slices.Clip(conditions))
}

func (p *parser) conditions() []string { return slices.Clone(p.around[len(p.around)-1]) }

// attribute reads a line below a symbol, or below the head of a block.
func (p *parser) attribute(word, rest string, indented int) {
	if word == "depends" {
		condition := strings.TrimSpace(strings.TrimPrefix(rest, "on "))
		if p.entry != nil {
			p.entry.Depends = append(p.entry.Depends, condition)
		} else if inner := &p.around[len(p.around)-1]; len(p.around) > 1 {
			*inner = append(*inner, condition)
		}
		return
	}
	if word == "help" || word == "---help---" {
		help := p.help(indented)
		if p.entry != nil {
			p.entry.Help = help
		}
		return
	}
	if p.entry == nil {
		return
	}
	switch word {
	case "bool", "tristate", "int", "hex", "string":
		p.entry.Type = word
		p.prompt(rest)
	case "def_bool", "def_tristate":
		p.entry.Type = strings.TrimPrefix(word, "def_")
	case "prompt":
		p.prompt(rest)
	case "select":
		p.entry.Selects = append(p.entry.Selects, rest)
	}
}

// prompt takes the text between quotes, which a condition may follow.
func (p *parser) prompt(rest string) {
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return
	}
	if text, _, ok := strings.Cut(rest[1:], rest[:1]); ok {
		p.entry.Prompt = text
	}
}

// help takes the lines that are indented deeper than the word help.
func (p *parser) help(indented int) string {
	var text []string
	for p.at+1 < len(p.lines) {
		next := p.lines[p.at+1].text
		if strings.TrimSpace(next) != "" && indent(next) <= indented {
			break
		}
		text = append(text, strings.TrimSpace(next))
		p.at++
	}
	return strings.TrimSpace(strings.Join(text, "\n"))
}

// indent counts columns; a tab goes on to the next eighth.
func indent(text string) int {
	columns := 0
	for _, c := range text {
		switch c {
		case ' ':
			columns++
		case '\t':
			columns += 8 - columns%8
		default:
			return columns
		}
	}
	return columns
}

// finish keeps the symbol that was being read.
func (p *parser) finish() {
	if p.entry != nil && p.symbol != "" {
		p.symbols[p.symbol] = append(p.symbols[p.symbol], *p.entry)
	}
	p.entry, p.symbol = nil, ""
}
