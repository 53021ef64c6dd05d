// Package xlcfg writes and reads the configuration files of Xen guests: those
// of xl (xl.cfg(5)), and the vm.cfg of Oracle VM, which has the same syntax.
//
// A file is a list of settings, one a line: a key, "=", and a string, a whole
// number, or a list of strings in brackets. What is written is understood by
// xl and by Python alike, which older tools read these files with.
//
// [Parse] takes what people and other programs write. It knows the syntax of
// xl and nothing of Python beyond it: a file that computes is an error.
package xlcfg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Writer collects settings. Its zero value is an empty file.
type Writer struct{ b bytes.Buffer }

// Comment adds lines for people.
func (w *Writer) Comment(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(&w.b, "# %s\n", strings.TrimRight(line, "\r\n"))
	}
}

// String adds a setting.
func (w *Writer) String(key, value string) { fmt.Fprintf(&w.b, "%s = %s\n", key, Quote(value)) }

// Int adds a setting.
func (w *Writer) Int(key string, value int64) { fmt.Fprintf(&w.b, "%s = %d\n", key, value) }

// List adds a setting.
func (w *Writer) List(key string, values ...string) {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = Quote(v)
	}
	fmt.Fprintf(&w.b, "%s = [%s]\n", key, strings.Join(quoted, ", "))
}

// Bytes returns the file.
func (w *Writer) Bytes() []byte { return w.b.Bytes() }

// Quote returns a string as a configuration has it. Everything but printable
// ASCII is escaped by its bytes: what reads the file may know no other coding.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b.Write([]byte{'\\', c})
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Value is the right side of a setting: a string or a number, or a list.
type Value struct {
	Text   string
	List   []string
	IsList bool
}

// Config is what a file sets, by key. The last setting of a key counts.
type Config map[string]Value

// Text returns a string or a number as it is written; "" when the key is not
// set, or to a list.
func (c Config) Text(key string) string { return c[key].Text }

// Int returns a number; 0 when the key is not set, or not to a number.
func (c Config) Int(key string) int64 {
	n, err := strconv.ParseInt(c[key].Text, 0, 64)
	if err != nil {
		return 0
	}
	return n
}

// List returns a list. A single string counts as a list of one.
func (c Config) List(key string) []string {
	v, ok := c[key]
	if ok && !v.IsList {
		return []string{v.Text}
	}
	return v.List
}
