package recipes

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
)

const runtimeNone = "none"

func (r *Runtime) decodeNode(d *decoder, n *node, path string) {
	if n.kind != scalarNode {
		d.structure(n, reflect.ValueOf(r).Elem(), path)
		return
	}
	r.None = n.text == runtimeNone
	if !r.None {
		d.problems.add(n.at, path, "write `runtime: none` for a static binary, or `runtime: {"+n.text+": …}`",
			"`%s` is \"none\" or a mapping, found %s", path, n.what())
	}
}

// MarshalJSON writes "none" or a mapping with one key.
func (r Runtime) MarshalJSON() ([]byte, error) {
	if r.None {
		return json.Marshal(runtimeNone)
	}
	type mapping Runtime
	return json.Marshal(mapping(r))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Runtime) UnmarshalJSON(data []byte) error {
	if string(data) == `"`+runtimeNone+`"` {
		*r = Runtime{None: true}
		return nil
	}
	type mapping Runtime
	return json.Unmarshal(data, (*mapping)(r))
}

// Output is a format and its options: "raw", or {ova: {hypervisor: vmware}}.
type Output struct {
	Format  string
	Options map[string]any
}

// formatPattern is the form of an output's name. Which formats there are is
// not this package's business.
const formatPattern = `^[a-z0-9][a-z0-9-]*$`

var formatName = regexp.MustCompile(formatPattern)

func (o *Output) decodeNode(d *decoder, n *node, path string) {
	switch {
	case n.kind == scalarNode:
		o.Format = n.text
	case n.kind == mappingNode && len(n.keys) == 1:
		e := n.keys[0]
		o.Format = e.name
		options := join(path, e.name)
		if !d.want(e.value, mappingNode, "a mapping of options", options) {
			return
		}
		o.Options, _ = e.value.plain().(map[string]any)
		d.mark(e.value, options)
	default:
		d.problems.add(n.at, path, "write raw, or {ova: {hypervisor: vmware}}",
			"`%s` is a format, or a mapping with one format and its options", path)
		return
	}
	if !formatName.MatchString(o.Format) {
		d.problems.add(n.at, path, "", "`%s` cannot be %q: a format is a word like raw or qcow2", path, o.Format)
	}
}

// mark remembers the places of values without a type.
func (d *decoder) mark(n *node, path string) {
	d.at[path] = n
	for _, e := range n.keys {
		d.mark(e.value, join(path, e.name))
	}
	for i, item := range n.items {
		d.mark(item, index(path, i))
	}
}

// MarshalJSON writes the format as text, or as a mapping from the format to
// its options.
func (o Output) MarshalJSON() ([]byte, error) {
	if len(o.Options) == 0 {
		return json.Marshal(o.Format)
	}
	return json.Marshal(map[string]any{o.Format: o.Options})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Output) UnmarshalJSON(data []byte) error {
	*o = Output{}
	if json.Unmarshal(data, &o.Format) == nil {
		return nil
	}
	var m map[string]map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("reading output: %w", err)
	}
	if len(m) != 1 {
		return fmt.Errorf("reading output: want one format, found %d", len(m))
	}
	for format, options := range m {
		o.Format, o.Options = format, options
	}
	return nil
}

// MarshalJSON writes the text of an empty file too, without which nothing
// would say that it is a file.
func (f File) MarshalJSON() ([]byte, error) {
	type plain File
	if f.Content != "" || f.Source != "" || f.Link != "" || f.Dir {
		return json.Marshal(plain(f))
	}
	return json.Marshal(struct {
		plain
		Content string `json:"content"`
	}{plain: plain(f)})
}
