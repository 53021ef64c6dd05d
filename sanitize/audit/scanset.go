package audit

import (
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/match"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// scanSet is what one pass looks for.
type scanSet struct {
	*match.Set
	rules *secret.Set
	// seekers stand at the index of their anchor in the match set.
	seekers []seeker
	types   []carve.Type
	// carving is set where every type is a finding, not only those that
	// rules forbid.
	carving bool
}

// seeker is what an anchor leads to: a type or a rule.
type seeker struct {
	typ  int   // index of the type; -1 for a rule
	at   int64 // of the anchor in the file
	unit int64 // what the start of the file is a multiple of
	rule *secret.Rule
}

// newScanSet returns what is looked for in dead bytes (carving), or in live
// ones.
func newScanSet(rules *secret.Set, carving bool) *scanSet {
	s := &scanSet{rules: rules, carving: carving, types: rules.Types()}
	if carving {
		s.types = carve.Types()
	}
	var anchors []match.Anchor
	for i, t := range s.types {
		for _, a := range t.Anchors {
			anchors = append(anchors, match.Anchor{Bytes: []byte(a.Text), Fold: a.Fold})
			s.seekers = append(s.seekers, seeker{typ: i, at: a.At, unit: max(a.Align, 1)})
		}
	}
	for _, a := range rules.Anchors() {
		anchors = append(anchors, a.Anchor)
		s.seekers = append(s.seekers, seeker{typ: -1, unit: 1, rule: a.Rule})
	}
	s.Set = match.New(anchors)
	return s
}
