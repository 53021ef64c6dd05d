package secret

import (
	"slices"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/match"
)

// Set is the rules of one audit. It does not change and serves many
// goroutines.
type Set struct {
	rules []Rule
	// byFile leads from a carved type to its rule.
	byFile map[string]*Rule
	// byPath are the rules of paths alone.
	byPath []*Rule
}

// NewSet makes a set of compiled rules. A later rule replaces an earlier one
// of the same identifier.
func NewSet(rules []Rule) *Set {
	s := &Set{byFile: map[string]*Rule{}}
	for _, r := range rules {
		if i := slices.IndexFunc(s.rules, func(o Rule) bool { return o.ID == r.ID }); i >= 0 {
			s.rules[i] = r
			continue
		}
		s.rules = append(s.rules, r)
	}
	for i := range s.rules {
		r := &s.rules[i]
		for _, f := range r.Files {
			s.byFile[f] = r
		}
		if len(r.Anchors) == 0 && len(r.Files) == 0 {
			s.byPath = append(s.byPath, r)
		}
	}
	return s
}

// Rules returns the rules.
func (s *Set) Rules() []Rule { return s.rules }

// ByFile returns the rule for a carved type, or nil.
func (s *Set) ByFile(name string) *Rule { return s.byFile[name] }

// Anchor leads from an anchor to the rule it belongs to.
type Anchor struct {
	match.Anchor
	Rule *Rule
}

// Anchors returns the anchors of all rules of content.
func (s *Set) Anchors() []Anchor {
	var list []Anchor
	for i := range s.rules {
		for _, a := range s.rules[i].Anchors {
			list = append(list, Anchor{match.Anchor{Bytes: []byte(a), Fold: s.rules[i].Fold}, &s.rules[i]})
		}
	}
	return list
}

// Types returns the carved types that rules look for.
func (s *Set) Types() []carve.Type {
	var list []carve.Type
	for _, t := range carve.Types() {
		if s.byFile[t.Name] != nil {
			list = append(list, t)
		}
	}
	return list
}

// PathMatch is a file that is a finding by itself.
type PathMatch struct {
	Rule *Rule
	Match
}

// CheckPath tries all rules of paths on a file that begins with head.
func (s *Set) CheckPath(path string, head []byte) []PathMatch {
	var list []PathMatch
	for _, r := range s.byPath {
		if m, ok := r.CheckPath(path, head); ok {
			list = append(list, PathMatch{r, m})
		}
	}
	return list
}

// Named reports whether a rule of paths is about a file at path, whatever it
// holds.
func (s *Set) Named(path string) bool {
	return slices.ContainsFunc(s.byPath, func(r *Rule) bool { return r.matchesPath(path) })
}
