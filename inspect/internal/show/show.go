// Package show writes reports for people: tables, sizes, and foreign text that
// cannot steer a terminal.
package show

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Table collects rows of cells that are aligned.
type Table struct {
	w *tabwriter.Writer
}

// NewTable returns a table that Flush writes into b.
func NewTable(b *bytes.Buffer) Table { return Table{tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)} }

// Row writes a row behind an indent. Cells are shown as [Plain] text.
func (t Table) Row(cells ...string) {
	for i, c := range cells {
		cells[i] = Plain(c)
	}
	// Blanks at the end of lines help nobody.
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	fmt.Fprintf(t.w, "  %s\n", strings.Join(cells, "\t"))
}

// Fact writes a row of a name and a value, unless the value is empty.
func (t Table) Fact(name, value string) {
	for line := range strings.Lines(value) {
		t.Row(name, strings.TrimRight(line, "\n"))
		name = ""
	}
}

// Flush writes the rows.
func (t Table) Flush() { t.w.Flush() }

// Plain shows everything that is not printable as an escape, and so keeps
// foreign text from steering a terminal.
func Plain(s string) string {
	q := strconv.Quote(s)
	if len(q) == len(s)+2 {
		return s
	}
	q = q[1 : len(q)-1]
	return strings.ReplaceAll(strings.ReplaceAll(q, `\"`, `"`), `\\`, `\`)
}

// Size writes a number of bytes, rounded.
func Size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), -1
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + units[unit:unit+1] + "iB"
}
