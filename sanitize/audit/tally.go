package audit

import (
	"slices"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// firstOffsets is how many places a sum shows.
const firstOffsets = 3

// Sum counts the findings of one rule or type.
type Sum struct {
	Kind  Kind   `json:"kind"`
	Rule  string `json:"rule"`
	Title string `json:"title"`
	// Live and Recoverable count findings in live files and in bytes that no
	// file owns.
	Live        int64 `json:"live"`
	Recoverable int64 `json:"recoverable"`
	// Bytes is the length of the recoverable ones, LiveBytes of the others.
	Bytes     int64 `json:"bytes"`
	LiveBytes int64 `json:"liveBytes"`
	// Sure counts the recoverable ones of medium and high confidence.
	Sure int64 `json:"sure"`
	// First are the offsets of the first ones, the recoverable before the
	// live.
	First []int64 `json:"first"`
}

// tally counts findings and keeps the first ones.
type tally struct {
	limit    int
	sums     map[sumKey]*Sum
	findings map[Kind][]Finding
	counts   map[Kind]int64
	// ends are where the last sound file of each type ended, and of any.
	ends map[string]int64
	end  int64
}

type sumKey struct {
	kind Kind
	rule string
}

func newTally(limit int) *tally {
	return &tally{
		limit: limit, sums: map[sumKey]*Sum{}, findings: map[Kind][]Finding{}, counts: map[Kind]int64{}, ends: map[string]int64{},
	}
}

// reset empties t and keeps its memory.
func (t *tally) reset() {
	clear(t.sums)
	clear(t.counts)
	clear(t.ends)
	for kind, list := range t.findings {
		clear(list)
		t.findings[kind] = list[:0]
	}
	t.end = 0
}

// add counts a finding and keeps it while there is room.
func (t *tally) add(f Finding) {
	k := sumKey{f.Kind, f.Rule}
	s := t.sums[k]
	if s == nil {
		s = &Sum{Kind: f.Kind, Rule: f.Rule, Title: f.Title}
		t.sums[k] = s
	}
	if f.Dead() {
		s.Recoverable++
		s.Bytes += f.Length
		if f.Confidence >= carve.Medium {
			s.Sure++
		}
	} else {
		s.Live++
		s.LiveBytes += f.Length
	}
	t.counts[f.Kind]++
	if len(t.findings[f.Kind]) < t.limit {
		t.findings[f.Kind] = append(t.findings[f.Kind], f)
	}
}

// merge adds what o counted. Of the findings that o kept, those stay for which
// keep answers.
func (t *tally) merge(o *tally, keep func(*Finding) bool) {
	left := map[sumKey]*Sum{}
	for k, s := range o.sums {
		c := *s
		left[k] = &c
	}
	for _, kind := range kinds {
		for i := range o.findings[kind] {
			f := &o.findings[kind][i]
			s := left[sumKey{f.Kind, f.Rule}]
			if f.Dead() {
				s.Recoverable--
				s.Bytes -= f.Length
				if f.Confidence >= carve.Medium {
					s.Sure--
				}
			} else {
				s.Live--
				s.LiveBytes -= f.Length
			}
			if keep(f) {
				t.add(*f)
			}
		}
		t.counts[kind] += o.counts[kind] - int64(len(o.findings[kind]))
	}
	t.addSums(left)
}

// addSums adds counts of findings that were not kept.
func (t *tally) addSums(sums map[sumKey]*Sum) {
	for k, s := range sums {
		if s.Recoverable == 0 && s.Live == 0 {
			continue
		}
		have := t.sums[k]
		if have == nil {
			have = &Sum{Kind: s.Kind, Rule: s.Rule, Title: s.Title}
			t.sums[k] = have
		}
		have.Recoverable += s.Recoverable
		have.Live += s.Live
		have.Bytes += s.Bytes
		have.LiveBytes += s.LiveBytes
		have.Sure += s.Sure
	}
}

// covers reports whether a file that was found before explains f: its own
// inner structure, or text in it.
func (t *tally) covers(f *Finding) bool {
	if f.Kind != File {
		return false
	}
	return f.Offset < t.ends[f.family] || textual(f.Rule) && f.Offset < t.end
}

// textual types have no magic of their own.
func textual(rule string) bool {
	return slices.Contains([]string{"txt", "json", "cpp", "sh"}, rule)
}

// cover notes where a sound file ends.
func (t *tally) cover(f *Finding) {
	if f.Kind != File || f.Confidence < carve.Medium {
		return
	}
	t.ends[f.family] = max(t.ends[f.family], f.End())
	t.end = max(t.end, f.End())
}
