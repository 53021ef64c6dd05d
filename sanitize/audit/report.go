package audit

import (
	"cmp"
	"slices"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// Report is what an audit found. Sizes and offsets are in bytes.
type Report struct {
	// Path is how the caller names the image, Disk a disk in it when it holds
	// several.
	Path   string `json:"path,omitempty"`
	Disk   string `json:"disk,omitempty"`
	Format string `json:"format,omitempty"`
	Size   int64  `json:"size"`
	// Scanned counts the bytes that were looked at, blocks of zeros left out;
	// Files the live files
	// that were read.
	Scanned int64 `json:"scanned"`
	Files   int64 `json:"files"`

	Policy string `json:"policy"`
	// OK means that nothing is forbidden.
	OK        bool  `json:"ok"`
	Forbidden int64 `json:"forbidden"`

	// Classes are the bytes of each class, Volumes the filesystems.
	Classes []ClassBytes `json:"classes"`
	Volumes []Volume     `json:"volumes"`
	// Sums count all findings, also those that are not listed.
	Sums     []Sum     `json:"sums"`
	Findings []Finding `json:"findings"`
	// LeftOut counts the findings that are not listed.
	LeftOut  int64     `json:"leftOut"`
	Problems []Problem `json:"problems"`

	// Maps draw the disk and its volumes to scale, Owners tell who holds how
	// much, the largest first.
	Maps   []*Map  `json:"maps"`
	Owners []Owner `json:"owners"`
}

// ClassBytes is how much of the image is of one class.
type ClassBytes struct {
	Class   sanitize.Class `json:"class"`
	Regions int            `json:"regions"`
	Bytes   int64          `json:"bytes"`
}

// Volume is a partition, or the whole image.
type Volume struct {
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Type   string `json:"type"` // "" when no driver recognised it
	Label  string `json:"label,omitempty"`
	// Read says how the live files were read: "files", "bytes" or "".
	Read string `json:"read,omitempty"`
}

// report puts the results together.
func (a *auditor) report() *Report {
	r := &Report{
		Size: a.ledger.size, Scanned: a.scanned, Files: a.files, Policy: a.Policy.Name,
		Forbidden: a.forbidden, OK: a.forbidden == 0,
		Volumes: []Volume{}, Sums: []Sum{}, Findings: []Finding{}, Problems: a.problems,
		Maps: a.maps, Owners: owners(a.ledger),
	}
	if r.Problems == nil {
		r.Problems = []Problem{}
	}
	for c := sanitize.Unknown; c <= sanitize.Gap; c++ {
		r.Classes = append(r.Classes, ClassBytes{Class: c})
	}
	for g := range a.ledger.regions {
		r.Classes[g.Class].Regions++
		r.Classes[g.Class].Bytes += g.Len
	}
	for i, v := range a.ledger.volumes {
		read := "bytes"
		if a.walked[i] {
			read = "files"
		}
		r.Volumes = append(r.Volumes, Volume{v.Off, v.Len, v.Type, clean(v.Label), read})
	}
	for _, kind := range kinds {
		r.Findings = append(r.Findings, a.total.findings[kind]...)
		r.LeftOut += a.total.counts[kind] - int64(len(a.total.findings[kind]))
	}
	sortFindings(r.Findings)
	r.sum(a.total.sums)
	return r
}

// sum lists the sums, with the places of the first findings of each.
func (r *Report) sum(sums map[sumKey]*Sum) {
	for _, dead := range []bool{true, false} {
		for i := range r.Findings {
			f := &r.Findings[i]
			if s := sums[sumKey{f.Kind, f.Rule}]; f.Dead() == dead && len(s.First) < firstOffsets {
				s.First = append(s.First, f.Offset)
			}
		}
	}
	for _, s := range sums {
		if s.First == nil {
			s.First = []int64{}
		}
		r.Sums = append(r.Sums, *s)
	}
	slices.SortFunc(r.Sums, func(x, y Sum) int {
		return cmp.Or(slices.Index(kinds, x.Kind)-slices.Index(kinds, y.Kind), cmp.Compare(x.Rule, y.Rule))
	})
}

// Worst returns the highest severity of the listed secrets; 0 without any.
func (r *Report) Worst() secret.Severity {
	worst := secret.Severity(0)
	for i := range r.Findings {
		if r.Findings[i].Kind == Secret {
			worst = max(worst, r.Findings[i].Severity)
		}
	}
	return worst
}
