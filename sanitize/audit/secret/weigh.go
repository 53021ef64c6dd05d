package secret

import (
	"regexp"
	"slices"
)

// documentation is where packages keep manuals, which show keys that nobody
// uses: the Filesystem Hierarchy Standard 3.0 §4.11 and what came after it.
var documentation = regexp.MustCompile(`(?:\A|/)share/(?:doc|doc-base|gtk-doc|help|info|man)/`)

// InDocumentation reports whether the file at path is a manual or an example
// that a package brought along.
func InDocumentation(path string) bool { return documentation.MatchString(path) }

// programs are how files begin that a processor runs, and libraries of them:
// ELF, PE, Mach-O, ar.
var programs = []string{"\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "!<arch>\n"}

// IsProgram reports whether a file that begins with head is a program or a
// library.
func IsProgram(head []byte) bool {
	return slices.ContainsFunc(programs, func(p string) bool { return len(head) >= len(p) && string(head[:len(p)]) == p })
}

// Weigh returns how severe a finding of the rule named id in the live file at
// path is, which is a program or not, given what it is elsewhere. note says
// why it is less; it is empty when it is not. Rules of paths alone mean the
// file itself, wherever it is.
func (s *Set) Weigh(id string, severity Severity, path string, program bool) (_ Severity, note string) {
	i := slices.IndexFunc(s.rules, func(r Rule) bool { return r.ID == id })
	if i < 0 || len(s.rules[i].Anchors) == 0 && s.rules[i].Embedded == 0 {
		return severity, ""
	}
	if InDocumentation(path) && severity > Low {
		return Low, "in documentation"
	}
	if e := s.rules[i].Embedded; program && e > 0 && severity > e {
		return e, "in a program"
	}
	return severity, ""
}
