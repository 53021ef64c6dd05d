// Package html writes an audit report as one page that needs nothing else: no
// network, no server, no other file. It opens from a folder, on a phone and in
// print, and can be worked by keyboard.
//
// The page draws the disk and its volumes to scale from the ledger, class by
// colour, with what is not zero in dead space and the findings pinned above;
// beside it, when given, the same disk before a scrub. Below are the sums, the
// owners as a treemap, and the findings with filters.
//
// The page is page.html with page.css and page.js put in, and the report as
// JSON. What comes from the image is only ever shown as text.
package html

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"path/filepath"
	"slices"

	"github.com/imgbuild/imgbuild/sanitize/audit"
)

var (
	//go:embed page.html
	page []byte
	//go:embed page.css
	style []byte
	//go:embed page.js
	script []byte
)

// maxFindings bounds the findings on the page: browsers get slow beyond. The
// worst come first.
const maxFindings = 5000

// data is what the script works on.
type data struct {
	Report *audit.Report `json:"report"`
	// Hidden counts the findings that are in the report and not on the page.
	Hidden int64 `json:"hidden"`
	// Before is the state before a scrub; nil without one.
	Before *before `json:"before,omitempty"`
}

// before is what is shown of the other report.
type before struct {
	Maps []*audit.Map `json:"maps"`
	Sums []audit.Sum  `json:"sums"`
}

// Write writes the page for r. old, unless nil, is the report of the same disk
// before it was scrubbed.
func Write(w io.Writer, r, old *audit.Report) error {
	d := data{Report: shorten(r)}
	d.Hidden = int64(len(r.Findings) - len(d.Report.Findings))
	if old != nil {
		d.Before = &before{old.Maps, old.Sums}
	}
	// Marshal writes <, > and & as escapes, so no text can end the script.
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("marshalling the report: %w", err)
	}
	out := page
	for mark, content := range map[string][]byte{
		"{{title}}": []byte(html.EscapeString(title(r))), "/*{{style}}*/": style, "/*{{script}}*/": script,
	} {
		out = bytes.Replace(out, []byte(mark), content, -1)
	}
	// The data comes last: it may hold what looks like a mark.
	out = bytes.Replace(out, []byte("{{data}}"), text, 1)
	_, err = w.Write(out)
	return err
}

func title(r *audit.Report) string {
	if r.Path == "" {
		return "image"
	}
	if r.Disk != "" {
		return filepath.Base(r.Path) + ", disk " + r.Disk
	}
	return filepath.Base(r.Path)
}

// shorten returns r with the worst findings only, in the order of their
// places.
func shorten(r *audit.Report) *audit.Report {
	if len(r.Findings) <= maxFindings {
		return r
	}
	list := slices.Clone(r.Findings)
	slices.SortStableFunc(list, func(a, b audit.Finding) int {
		return cmp.Or(forbidden(b)-forbidden(a), cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Confidence, a.Confidence))
	})
	list = list[:maxFindings]
	slices.SortStableFunc(list, func(a, b audit.Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	short := *r
	short.Findings = list
	return &short
}

func forbidden(f audit.Finding) int {
	if f.Forbidden != "" {
		return 1
	}
	return 0
}
