// Package lint finds what importers of OVF packages stumble over. The schema
// of OVF catches little of it: a package can be valid and still be refused.
//
//	report, err := lint.Run(ctx, "app.ova", lint.Options{})
//
// Every rule stems from a report of somebody whose import failed, or from a
// sentence of the specification (DMTF DSP0243); [Rules] lists them. What only
// some importers mind is asked of a package that is meant for them: of those
// that its machine types name, or of [Options.For].
//
// Nothing is changed, and no disk is unpacked: of a VMDK the headers are read.
package lint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// The importers that a package can be meant for.
const (
	VMware     = "vmware"
	VirtualBox = "virtualbox"
	Xen        = "xen" // XenServer, XCP-ng, Oracle VM
	Generic    = "generic"
)

// Importers lists them.
func Importers() []string { return []string{VMware, VirtualBox, Xen, Generic} }

// Options are the arguments of Run.
type Options struct {
	// For are the importers that the package is meant for; those that its
	// machine types name by default.
	For []string
}

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // the import fails, or the result is wrong
	Warning Severity = "warning" // some importers mind, or something is lost
)

// Finding is one thing that is wrong.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// File is the member of the package; Line that of the descriptor, 0 when
	// it is about no single line.
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	// Text says what is wrong, Remedy what to do.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Report is the result.
type Report struct {
	Path string `json:"path"`
	// For are the importers that were thought of.
	For      []string  `json:"for"`
	Findings []Finding `json:"findings"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
}

// most bounds the findings of a report.
const most = 500

// linter is one run.
type linter struct {
	pkg    *ovf.Package
	root   *element
	report *Report
}

// Run examines a package. The error is for what cannot be read as one at all;
// [Report.Err] is for what was found.
func Run(ctx context.Context, path string, o Options) (*Report, error) {
	for _, name := range o.For {
		if !slices.Contains(Importers(), name) {
			return nil, fault.New(fault.Usage, fmt.Errorf("there is no importer %q", name), "choose from "+strings.Join(Importers(), ", "))
		}
	}
	p, err := ovf.Open(path)
	if err != nil {
		return nil, fault.New(fault.Input, err, "name an OVA, or the .ovf of a package of loose files")
	}
	defer p.Close()
	root, err := parse(p.Text())
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading %s in %s: %w", p.Descriptor, path, err))
	}
	l := &linter{pkg: p, root: root, report: &Report{Path: path, For: o.For, Findings: []Finding{}}}
	if len(o.For) == 0 {
		l.report.For = meantFor(p)
	}
	if p.Archive {
		if err := l.archive(path); err != nil {
			return nil, fault.New(fault.Input, fmt.Errorf("reading %s: %w", path, err))
		}
	}
	l.structure()
	l.references()
	l.hardware()
	l.products()
	if err := l.manifest(ctx); err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading the manifest of %s: %w", path, err))
	}
	if err := l.disks(ctx); err != nil {
		return nil, err
	}
	return l.report, ctx.Err()
}

// meantFor tells by the machine types whom a package is meant for.
func meantFor(p *ovf.Package) []string {
	var list []string
	for _, m := range p.Machines {
		for _, types := range append([]string{m.System}, m.Systems...) {
			for _, name := range families(types) {
				if !slices.Contains(list, name) {
					list = append(list, name)
				}
			}
		}
	}
	if len(list) == 0 {
		return []string{Generic}
	}
	return list
}

// families are the importers that know one of the machine types.
func families(types string) []string {
	var list []string
	for _, word := range strings.Fields(types) {
		switch {
		case strings.HasPrefix(word, "vmx-"):
			list = append(list, VMware)
		case strings.HasPrefix(word, "virtualbox"):
			list = append(list, VirtualBox)
		case strings.HasPrefix(word, "xen"), strings.HasPrefix(word, "hvm"):
			list = append(list, Xen)
		}
	}
	return list
}

// meant reports whether the package is meant for an importer.
func (l *linter) meant(importer string) bool { return slices.Contains(l.report.For, importer) }

// add adds a finding about a line of the descriptor.
func (l *linter) add(rule string, at *element, format string, args ...any) {
	line := 0
	if at != nil {
		line = at.line
	}
	l.addFile(rule, l.pkg.Descriptor, line, format, args...)
}

// addFile adds a finding about a file.
func (l *linter) addFile(id, file string, line int, format string, args ...any) {
	r := ruleNamed(id)
	if r.Severity == Error {
		l.report.Errors++
	} else {
		l.report.Warnings++
	}
	if len(l.report.Findings) < most {
		l.report.Findings = append(l.report.Findings, Finding{
			Rule: id, Severity: r.Severity, File: file, Line: line, Text: fmt.Sprintf(format, args...), Remedy: r.Remedy,
		})
	}
}

// Err returns a fault of kind Check when there are errors, or, if strict,
// warnings.
func (r *Report) Err(strict bool) error {
	switch {
	case r.Errors > 0:
		return fault.New(fault.Check, fmt.Errorf("%s would be refused or go wrong: %d errors", r.Path, r.Errors), "each finding says what to do")
	case strict && r.Warnings > 0:
		return fault.New(fault.Check, errors.New("there are warnings, and --strict was given"), "each finding says what to do")
	}
	return nil
}
