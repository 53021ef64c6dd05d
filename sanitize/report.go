package sanitize

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// unknownListed bounds the regions a report lists one by one.
const unknownListed = 1000

// Report is what a scrub found and did.
type Report struct {
	// Size is that of the image, in bytes.
	Size int64 `json:"size"`
	// Classes counts every class, in their order.
	Classes []ClassReport  `json:"classes"`
	Volumes []VolumeReport `json:"volumes"`
	// Unknown lists the regions that nobody could name, the first thousand.
	Unknown []UnknownReport `json:"unknown"`
	// Changed is the number of bytes that were zeroed and had not been zero.
	// Of what became holes unread, it is all that was stored.
	Changed int64 `json:"changed"`
	// Live is the digest of the live tree before the scrub.
	Live string `json:"live"`
	// Proof is nil after a dry run.
	Proof *Proof `json:"proof,omitempty"`
}

// ClassReport is the account of one class before the scrub. What is not zero
// is counted in dead classes and in what is unknown; of the others nobody
// asks, and NonZero is 0.
type ClassReport struct {
	Total
	// Zeroed is how many bytes that were not zero the scrub zeroed, or
	// would have zeroed.
	Zeroed int64 `json:"zeroed"`
	// Unread is how many of these a scrub gives back, or leaves out, without a
	// look at them: what is stored in dead runs that become holes.
	Unread int64 `json:"unread"`
}

// VolumeReport describes one volume.
type VolumeReport struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Type   string `json:"type"` // "" when no driver recognised it
	Label  string `json:"label,omitempty"`
}

// UnknownReport describes one region that was left alone because no driver
// could say what it is.
type UnknownReport struct {
	Offset  int64  `json:"offset"`
	Length  int64  `json:"length"`
	NonZero int64  `json:"nonZero"`
	Owner   string `json:"owner"`
}

// MarshalText gives a class its name in JSON.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name of a class.
func (c *Class) UnmarshalText(text []byte) error {
	for i, name := range classNames {
		if name == string(text) {
			*c = Class(i)
			return nil
		}
	}
	return fmt.Errorf("no class is named %q", text)
}

func newReport(l *Ledger) *Report {
	r := &Report{Size: l.Size, Classes: make([]ClassReport, Gap+1), Volumes: []VolumeReport{}, Unknown: []UnknownReport{}}
	for c := range r.Classes {
		r.Classes[c].Class = Class(c)
	}
	for _, v := range l.Volumes {
		r.Volumes = append(r.Volumes, VolumeReport{v.Off, v.Len, v.Type, v.Label})
	}
	return r
}

// count adds one region and what was found in it.
func (r *Report) count(g Region, t tally, zeroed bool) {
	c := &r.Classes[g.Class]
	c.Regions++
	c.Bytes += g.Len
	c.NonZero += t.nonZero
	c.Unread += t.unread
	if zeroed {
		c.Zeroed += t.nonZero
		r.Changed += t.nonZero
	}
	if g.Class == Unknown && len(r.Unknown) < unknownListed {
		r.Unknown = append(r.Unknown, UnknownReport{g.Off, g.Len, t.nonZero, g.Owner})
	}
}

// WriteTable writes the report for people to read.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "class\tregions\tbytes\tnot zero\tzeroed\t")
	for _, c := range r.Classes {
		nonZero := "-"
		if c.Class.Dead() || c.Class == Unknown {
			nonZero = strconv.FormatInt(c.NonZero, 10)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%d\t\n", c.Class, c.Regions, c.Bytes, nonZero, c.Zeroed)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range r.Volumes {
		kind := v.Type
		if kind == "" {
			kind = "unrecognised"
		}
		fmt.Fprintf(t, "volume\t%s\t%d bytes at %d\t%s\n", kind, v.Length, v.Offset, plain(v.Label))
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(t, "unknown\t%s\t%d bytes at %d\t%d not zero\n", plain(u.Owner), u.Length, u.Offset, u.NonZero)
	}
	switch p := r.Proof; {
	case p == nil:
		fmt.Fprintf(t, "dry run\t%d bytes would be zeroed\n", r.Changed)
	case p.OK:
		fmt.Fprintf(t, "proof\tholds\tevery one of %d bytes accounted for\t%s\n", p.Accounted, p.Digest)
	default:
		fmt.Fprintf(t, "proof\tBROKEN\t%d dead bytes left\t%s, before %s\n", p.Residue, p.Digest, p.Before)
	}
	return t.Flush()
}

// plain shows what is not printable as an escape: names on an image are foreign
// text and must not steer the terminal.
func plain(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
