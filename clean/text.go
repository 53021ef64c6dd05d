package clean

import (
	"encoding/json"
	"fmt"
	"io"
)

// WriteText writes the report for people to read.
func (r *Report) WriteText(w io.Writer) error {
	for _, d := range r.Disks {
		name := r.Image
		if d.Name != "" {
			name += ", disk " + d.Name
		}
		result := ""
		switch {
		case d.Output == r.Image:
			result = ", in place"
		case d.Output != "":
			result = fmt.Sprintf(" -> %s (%s, %d bytes stored)", d.Output, d.Format, d.Stored)
		}
		if _, err := fmt.Fprintf(w, "%q: %s, %d bytes%s\n", name, d.From, d.Size, result); err != nil {
			return err
		}
		if err := d.WriteTable(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes the report for machines.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
