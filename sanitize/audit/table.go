package audit

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// tableSecrets is how many secrets the table lists one by one.
const tableSecrets = 100

// WriteTable writes the report for people to read: what can be recovered by
// type, the secrets one by one, and the verdict.
func (r *Report) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %d bytes, %d looked at, %s read\n", clean(r.name()), r.Size, r.Scanned, plural(r.Files, "live file"))
	r.writeVolumes(&b)
	r.writeSums(&b)
	r.writeSecrets(&b)
	for i, p := range r.Problems {
		if i == tableSecrets {
			fmt.Fprintf(&b, "problem: %d more\n", len(r.Problems)-i)
			break
		}
		fmt.Fprintf(&b, "problem: at byte %d%s: %s\n", p.Offset, orNothing(", ", p.Path), p.Error)
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(&b, "%s counted and not listed\n", plural(r.LeftOut, "finding"))
	}
	switch {
	case r.OK:
		fmt.Fprintf(&b, "\npolicy %s: nothing against it\n", r.Policy)
	default:
		fmt.Fprintf(&b, "\npolicy %s: %s against it\n", r.Policy, plural(r.Forbidden, "finding"))
	}
	_, err := w.Write(b.Bytes())
	return err
}

func orNothing(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func (r *Report) writeVolumes(b *bytes.Buffer) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, v := range r.Volumes {
		kind := v.Type
		if kind == "" {
			kind = "not recognised"
		}
		fmt.Fprintf(t, "  volume at %d\t%d bytes\t%s\n", v.Offset, v.Length, strings.TrimSpace(kind+" "+v.Label))
	}
	t.Flush()
}

// writeSums writes a line for each type: how many live, how many recoverable,
// their bytes and where the first ones are.
func (r *Report) writeSums(b *bytes.Buffer) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ntype\tlive\trecoverable\tsure\tbytes\tfirst at\t")
	rows := 0
	for _, s := range r.Sums {
		if s.Kind == Secret {
			continue
		}
		rows++
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t\n", s.Rule, s.Live, s.Recoverable, s.Sure, s.Bytes, offsets(s.First))
	}
	if rows == 0 {
		fmt.Fprintln(t, "nothing\t0\t0\t0\t0\t\t")
	}
	t.Flush()
}

func offsets(list []int64) string {
	var s []string
	for _, off := range list {
		s = append(s, strconv.FormatInt(off, 10))
	}
	return strings.Join(s, " ")
}

func (r *Report) writeSecrets(b *bytes.Buffer) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	n := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Kind != Secret {
			continue
		}
		if n++; n > tableSecrets {
			continue
		}
		if n == 1 {
			fmt.Fprintln(t, "\nseverity\trule\twhere\tat byte\twhat\tpolicy")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", f.Severity, f.Rule, f.where(), f.Offset, f.what(), f.verdict())
	}
	if n > tableSecrets {
		fmt.Fprintf(t, "…\t%d more in --json\n", n-tableSecrets)
	}
	t.Flush()
}

// what describes a finding in a few words.
func (f *Finding) what() string {
	parts := []string{f.Title}
	for _, p := range []string{f.Text, f.Detail} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

func (f *Finding) verdict() string {
	switch {
	case f.Forbidden != "":
		return f.Forbidden
	case f.Allowed != "":
		return "allowed: " + clean(f.Allowed)
	}
	return "-"
}
