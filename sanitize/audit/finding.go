package audit

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// Kind says what a finding is of.
type Kind string

// The kinds.
const (
	File   Kind = "file"   // content that looks like a file
	Name   Kind = "name"   // the name of a deleted file
	Secret Kind = "secret" // something that a rule forbids
)

// kinds in the order in which they are counted.
var kinds = []Kind{File, Name, Secret}

// Finding is one thing that a stranger could find.
type Finding struct {
	Kind Kind `json:"kind"`
	// Rule is the identifier of the secret's rule, or the carved type, or
	// "deleted-name".
	Rule  string `json:"rule"`
	Title string `json:"title"`
	// Offset is where it begins on the disk, Length how much it is, in bytes.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// Class says whose bytes these are, Owner names the owner: the path of a
	// live file, or what the filesystem says of dead bytes.
	Class sanitize.Class `json:"class"`
	Owner string         `json:"owner"`
	// Inside is the member of an archive, or the offset in a live file.
	Inside string `json:"inside,omitempty"`
	// FileOffset is where it begins in a live file, in bytes.
	FileOffset int64 `json:"fileOffset,omitempty"`

	Severity   secret.Severity  `json:"severity"`
	Confidence carve.Confidence `json:"confidence"`
	// Example is set for a secret in the documentation of a package.
	Example bool `json:"example,omitempty"`
	// Text is masked: see [secret.Mask].
	Text string `json:"text,omitempty"`
	// Detail is what a reader wants to know besides.
	Detail string `json:"detail,omitempty"`
	// Forbidden names what of the policy the finding breaks, Allowed the
	// reason why it may stay.
	Forbidden string `json:"forbidden,omitempty"`
	Allowed   string `json:"allowed,omitempty"`

	// family is the type by whose anchor a file was found.
	family string
	// superblock is set for what stands at the beginning of a filesystem.
	superblock bool
	// volume is the index of the volume of a live file whose place is still
	// to be looked up; -1 when Offset is known.
	volume int
}

// Dead reports whether the finding lies in bytes that no file owns.
func (f *Finding) Dead() bool { return f.Class != sanitize.Live }

// End returns the offset behind the finding.
func (f *Finding) End() int64 { return f.Offset + f.Length }

// sortFindings sorts by place, then by what tells them apart. What is only
// text comes behind what has a structure, which explains it.
func sortFindings(list []Finding) {
	weight := func(f *Finding) int {
		if f.Kind == File && textual(f.Rule) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), weight(&a)-weight(&b), cmp.Compare(b.Length, a.Length), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.FileOffset, b.FileOffset), cmp.Compare(a.Inside, b.Inside))
	})
}

// severityOfFile is how much a recovered file matters by itself: nobody knows
// what is in it.
const severityOfFile = secret.Medium

func fileFinding(t carve.Type, f carve.Found, at int64) Finding {
	out := Finding{
		Kind: File, Rule: t.Name, Title: t.Title, Offset: at, Length: f.Size, family: t.Name, superblock: t.Volume, volume: -1,
		Severity: severityOfFile, Confidence: f.Confidence, Detail: clean(f.Detail),
	}
	if f.Name != "" {
		out.Rule = f.Name
	}
	if f.Title != "" {
		out.Title = f.Title
	}
	if f.Confidence == carve.Low {
		out.Severity = secret.Info
	}
	return out
}

func secretFinding(r *secret.Rule, m secret.Match, at int64) Finding {
	return Finding{
		Kind: Secret, Rule: r.ID, Title: m.Title, Offset: at, Length: m.Size, volume: -1,
		Severity: m.Severity, Confidence: carve.High, Text: clean(m.Masked), Detail: m.Note,
	}
}

// fileSecret is the finding of a rule on a carved file. Files begin where
// blocks do; what does not is embedded in another one.
func fileSecret(r *secret.Rule, f carve.Found, at int64, live bool) Finding {
	const sector = 512
	out := Finding{
		Kind: Secret, Rule: r.ID, Title: r.Title, Offset: at, Length: f.Size, volume: -1,
		Severity: r.Severity, Confidence: f.Confidence, Detail: clean(f.Detail),
	}
	if embedded := live && at > 0 || at%sector != 0; embedded && r.Embedded > 0 {
		out.Severity = r.Embedded
		out.Detail = strings.TrimPrefix(out.Detail+", embedded in another file", ", ")
	}
	return out
}

// maxText bounds what a finding quotes of the image, in bytes.
const maxText = 200

// clean makes foreign text harmless and short.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '.'
		}
		return r
	}, s)
}
