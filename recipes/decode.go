package recipes

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decoder fills Go values from nodes. It reports every mismatch and goes on,
// and remembers where each value was written.
type decoder struct {
	problems *problems
	at       map[string]*node // by path, like app.ports[0]
}

// nodeDecoder is a type that reads itself, because it has more than one shape
// in YAML.
type nodeDecoder interface {
	decodeNode(d *decoder, n *node, path string)
}

// textParser is a scalar with a notation of its own. The error says what the
// notation is.
type textParser interface {
	parseText(text string) error
}

// value decodes n into v, by v's type and the rule of its field.
func (d *decoder) value(n *node, v reflect.Value, path string, r rule) {
	d.at[path] = n
	if n.isNull() {
		d.problems.add(n.at, path, "give it a value or remove the key", "`%s` has no value", path)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch x := v.Addr().Interface().(type) {
	case nodeDecoder:
		x.decodeNode(d, n, path)
		return
	case textParser:
		if d.want(n, scalarNode, "text", path) {
			if err := x.parseText(n.text); err != nil {
				d.problems.add(n.at, path, "", "`%s`: %v", path, err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Slice:
		d.list(n, v, path, r)
	case reflect.Map:
		d.texts(n, v, path)
	case reflect.String:
		d.text(n, v, path, r)
	case reflect.Int:
		d.number(n, v, path, r)
	case reflect.Bool:
		d.boolean(n, v, path)
	}
}

// want checks the shape of a node and reports another one.
func (d *decoder) want(n *node, k kind, name, path string) bool {
	if n.kind == k {
		return true
	}
	hint := ""
	if k == listNode && n.kind == scalarNode {
		hint = fmt.Sprintf("write it as a list: [%s]", n.text)
	}
	if k == scalarNode && n.kind == listNode && len(n.items) == 1 && n.items[0].kind == scalarNode {
		hint = fmt.Sprintf("write it without brackets: %s", n.items[0].text)
	}
	d.problems.add(n.at, path, hint, "`%s` is %s, found %s", orRecipe(path), name, n.what())
	return false
}

// orRecipe names the root.
func orRecipe(path string) string {
	if path == "" {
		return "the recipe"
	}
	return path
}

// structure decodes a mapping with known keys.
func (d *decoder) structure(n *node, v reflect.Value, path string) {
	if !d.want(n, mappingNode, "a mapping", path) {
		return
	}
	fields := fieldsOf(v.Type())
	for _, e := range n.keys {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.name })
		if i < 0 {
			d.unknown(e, fields, path)
			continue
		}
		d.value(e.value, v.Field(fields[i].index), join(path, e.name), fields[i].rule)
	}
	for _, f := range fields {
		if f.rule.required && n.get(f.name) == nil {
			d.problems.add(n.at, join(path, f.name), "add `"+f.name+": …` to "+orRecipe(path), "the key `%s` is missing", join(path, f.name))
		}
	}
	d.choice(n, fields, path)
}

// withdrawn are keys that people know from other tools, and that nothing can
// be made of any more.
var withdrawn = map[string]struct{ text, hint string }{
	"tmem": {"transcendent memory is gone: Linux removed it in 5.3",
		"remove the key; a balloon and free-page reporting give memory back to the host, and need no key"},
}

// unknown reports a key that is not allowed where it stands.
func (d *decoder) unknown(e *entry, fields []field, path string) {
	if d.problems.full() {
		return
	}
	if why, ok := withdrawn[e.name]; ok {
		d.problems.add(e.at, join(path, e.name), why.hint, "`%s` in %s: %s", e.name, orRecipe(path), why.text)
		return
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	hint := didYouMean(e.name, names)
	// A key that is right elsewhere is not a slip of the pen.
	if place := placeOf(e.name); place != "" {
		hint = "it belongs in `" + place + "`"
	}
	d.problems.add(e.at, join(path, e.name), hint, "unknown key `%s` in %s", e.name, orRecipe(path))
}

// choice checks keys that exclude each other.
func (d *decoder) choice(n *node, fields []field, path string) {
	var names []string
	var given []*entry
	must := false
	for _, f := range fields {
		if f.rule.choice == "" {
			continue
		}
		names = append(names, f.name)
		must = must || f.rule.choice == choiceOne
		if e := n.get(f.name); e != nil && e.value.text != "false" {
			given = append(given, e)
		}
	}
	switch {
	case len(given) > 1:
		hint := fmt.Sprintf("keep one of `%s` and `%s`", given[0].name, given[1].name)
		d.problems.add(given[1].at, join(path, given[1].name), hint, "%s holds `%s` and `%s`, which exclude each other", orRecipe(path), given[0].name, given[1].name)
	case must && len(given) == 0:
		d.problems.add(n.at, path, "", "%s needs one of: %s", orRecipe(path), strings.Join(names, ", "))
	}
}

// list decodes a list; the rule holds for each item.
func (d *decoder) list(n *node, v reflect.Value, path string, r rule) {
	if !d.want(n, listNode, "a list", path) {
		return
	}
	if len(n.items) < r.minItems {
		d.problems.add(n.at, path, "", "`%s` needs at least %d item", path, r.minItems)
	}
	if len(n.items) == 0 {
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.value(item, list.Index(i), index(path, i), r)
	}
	v.Set(list)
}

// texts decodes a mapping from names to text.
func (d *decoder) texts(n *node, v reflect.Value, path string) {
	if !d.want(n, mappingNode, "a mapping of names to text", path) {
		return
	}
	if len(n.keys) == 0 {
		return
	}
	m := make(map[string]string, len(n.keys))
	for _, e := range n.keys {
		text := reflect.New(v.Type().Elem()).Elem()
		if e.value.isNull() {
			p := join(path, e.name)
			d.problems.add(e.at, p, `write "" for empty text`, "`%s` has no value", p)
			continue
		}
		d.value(e.value, text, join(path, e.name), rule{})
		m[e.name] = text.String()
	}
	v.Set(reflect.ValueOf(m))
}

// text decodes text; a plain number or boolean is taken as it is written.
func (d *decoder) text(n *node, v reflect.Value, path string, r rule) {
	if !d.want(n, scalarNode, "text", path) {
		return
	}
	v.SetString(n.text)
	switch {
	case strings.ContainsRune(n.text, 0):
		d.problems.add(n.at, path, "", "`%s` holds a NUL character", path)
	case len(r.enum) > 0 && !slices.Contains(r.enum, n.text):
		hint := "use one of: " + strings.Join(r.enum, ", ")
		if s := suggest(n.text, r.enum); s != "" {
			hint = "did you mean `" + s + "`?"
		}
		d.problems.add(n.at, path, hint, "`%s` cannot be %q", path, n.text)
	case r.pattern != "" && !regexp.MustCompile(r.pattern).MatchString(n.text):
		d.problems.add(n.at, path, "it must match "+r.pattern, "`%s` cannot be %q", path, n.text)
	}
	if r.check != nil {
		if err := r.check(n.text); err != nil {
			d.problems.add(n.at, path, "", "`%s`: %v", path, err)
		}
	}
}

// number decodes a whole number in decimal notation.
func (d *decoder) number(n *node, v reflect.Value, path string, r rule) {
	if !d.want(n, scalarNode, "a whole number", path) {
		return
	}
	i, err := strconv.Atoi(n.text)
	if err != nil || n.quoted && !n.expanded {
		hint := ""
		if err == nil {
			hint = "remove the quotes"
		}
		d.problems.add(n.at, path, hint, "`%s` is a whole number, found %s", path, n.what())
		return
	}
	if i < r.min || i > r.max {
		d.problems.add(n.at, path, "", "`%s` is %d, and must be from %d to %d", path, i, r.min, r.max)
	}
	v.SetInt(int64(i))
}

// boolean decodes true or false.
func (d *decoder) boolean(n *node, v reflect.Value, path string) {
	if !d.want(n, scalarNode, "true or false", path) {
		return
	}
	b, ok := n.value().(bool)
	if n.expanded && !ok {
		b, ok = n.text == "true", n.text == "true" || n.text == "false"
	}
	if !ok {
		d.problems.add(n.at, path, "write true or false", "`%s` is true or false, found %s", path, n.what())
		return
	}
	v.SetBool(b)
}

// join appends a key to a path, and index the place in a list.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
