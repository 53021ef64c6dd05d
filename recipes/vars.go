package recipes

import (
	"regexp"
	"slices"
	"strings"
)

// variable finds ${name}, and $${ which stands for a plain ${.
var variable = regexp.MustCompile(`\$\$\{|\$\{[^}\n]*\}?`)

const varPattern = `^[A-Za-z_][A-Za-z0-9_.-]*$`

var varName = regexp.MustCompile(varPattern)

// maxText bounds what variables may grow a text to, in bytes.
const maxText = 1 << 20

// expander replaces variables in a tree.
type expander struct {
	problems *problems
	vars     map[string]*node
	names    []string
	done     map[string]bool
	open     []string // variables being expanded
}

// expand replaces the variables in every text of root, in place. The values
// stand below the key vars of root, and may use other variables.
func expand(root *node, p *problems) {
	x := &expander{problems: p, vars: map[string]*node{}, done: map[string]bool{}}
	if e := root.get("vars"); e != nil {
		for _, v := range e.value.keys {
			if !varName.MatchString(v.name) {
				p.add(v.at, "vars."+v.name, "use letters, digits, _ . -, and begin with a letter", "`%s` cannot be the name of a variable", v.name)
			}
			x.vars[v.name] = v.value
			x.names = append(x.names, v.name)
		}
	}
	for _, name := range x.names {
		x.variable(name)
	}
	x.node(root, "")
}

// variable expands the value of a variable itself, once.
func (x *expander) variable(name string) {
	if x.done[name] {
		return
	}
	x.open = append(x.open, name)
	x.node(x.vars[name], "vars."+name)
	x.open = x.open[:len(x.open)-1]
	x.done[name] = true
}

func (x *expander) node(n *node, path string) {
	switch n.kind {
	case mappingNode:
		for _, e := range n.keys {
			if path != "" || e.name != "vars" {
				x.node(e.value, join(path, e.name))
			}
		}
	case listNode:
		for i, item := range n.items {
			x.node(item, index(path, i))
		}
	default:
		x.text(n, path)
	}
}

// text expands one scalar. A scalar that was made of variables only counts as
// if its text had been written in their place.
func (x *expander) text(n *node, path string) {
	if !strings.Contains(n.text, "${") {
		return
	}
	out := variable.ReplaceAllStringFunc(n.text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		return x.lookup(n, path, found)
	})
	if len(out) > maxText {
		x.problems.add(n.at, path, "", "`%s` grows beyond %d bytes when its variables are expanded", path, maxText)
		return
	}
	n.text, n.expanded = out, true
	if n.isNull() {
		n.quoted = true
	}
}

// lookup returns the text for ${name}.
func (x *expander) lookup(n *node, path, found string) string {
	name := strings.TrimSuffix(found[2:], "}")
	where := within(n.at, found)
	value, ok := x.vars[name]
	switch {
	case !strings.HasSuffix(found, "}"):
		x.problems.add(where, path, "close it with }, or write $${ for a plain ${", "`${` without an end")
	case !ok:
		hint := "define it below `vars`, or write $${ for a plain ${"
		if s := suggest(name, x.names); s != "" {
			hint = "did you mean `${" + s + "}`?"
		}
		x.problems.add(where, path, hint, "the variable `%s` is not defined", name)
	case slices.Contains(x.open, name):
		x.problems.add(where, path, "", "the variable `%s` refers to itself: %s", name, strings.Join(append(slices.Clone(x.open), name), " → "))
	case value.kind != scalarNode:
		return ""
	default:
		x.variable(name)
		return value.text
	}
	return ""
}

// within finds a piece of a scalar in the source: the scalar's own position
// is that of its first character.
func within(at pos, piece string) pos {
	for line := at.line; line >= 1 && line <= len(at.file.lines); line++ {
		text, from := at.file.lines[line-1], 0
		if line == at.line {
			from = len(string([]rune(text)[:min(at.col-1, len([]rune(text)))]))
		}
		if i := strings.Index(text[from:], piece); i >= 0 {
			return pos{file: at.file, line: line, col: len([]rune(text[:from+i])) + 1}
		}
	}
	return at
}
