package audit

import (
	"fmt"
	"io"
)

// Package is what audits of all disks of a package found.
type Package struct {
	Path string `json:"path"`
	// OK means that nothing is forbidden on any disk; Forbidden is the sum.
	OK        bool      `json:"ok"`
	Forbidden int64     `json:"forbidden"`
	Disks     []*Report `json:"disks"`
}

// NewPackage puts the reports of the disks together.
func NewPackage(path string, disks []*Report) *Package {
	p := &Package{Path: path, OK: true, Disks: disks}
	for _, r := range disks {
		p.OK = p.OK && r.OK
		p.Forbidden += r.Forbidden
	}
	return p
}

// WriteTable writes the reports for people to read, one after the other.
func (p *Package) WriteTable(w io.Writer) error {
	for i, r := range p.Disks {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := r.WriteTable(w); err != nil {
			return err
		}
	}
	return nil
}

// Err is the verdict of the first disk that may not pass, with how many others
// there are; see [Report.Err].
func (p *Package) Err() error {
	var first error
	bad := 0
	for _, r := range p.Disks {
		err := r.Err()
		if err == nil {
			continue
		}
		if bad++; first == nil {
			first = fmt.Errorf("disk %s: %w", r.Disk, err)
		}
	}
	if bad > 1 {
		return fmt.Errorf("%d of %d disks are against the policy; %w", bad, len(p.Disks), first)
	}
	return first
}

// name is how people call what was audited.
func (r *Report) name() string {
	switch {
	case r.Path == "":
		return "image"
	case r.Disk != "":
		return r.Path + ", disk " + r.Disk
	}
	return r.Path
}
