package match_test

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/sanitize/audit/match"
)

type hit struct{ anchor, pos int }

// find searches b in ranges that end at the cuts.
func find(s *match.Set, b []byte, cuts ...int) []hit {
	var hits []hit
	from := 0
	for _, to := range append(cuts, len(b)) {
		s.Find(b, from, to, func(anchor, pos int) { hits = append(hits, hit{anchor, pos}) })
		from = to
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Or(a.pos-b.pos, a.anchor-b.anchor) })
	return hits
}

// TestFind compares with a search of each anchor at each place, however the
// bytes are cut into ranges.
func TestFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]byte("abAB\x00-"))
		var anchors []match.Anchor
		for i := range rapid.IntRange(1, 6).Draw(t, "anchors") {
			text := rapid.SliceOfN(letters, 3, 7).Draw(t, "anchor")
			fold := i%2 == 1
			if fold {
				text = bytes.ToLower(text)
			}
			anchors = append(anchors, match.Anchor{Bytes: text, Fold: fold})
		}
		b := rapid.SliceOfN(letters, 0, 200).Draw(t, "bytes")
		var want []hit
		for pos := range b {
			for i, a := range anchors {
				if pos+len(a.Bytes) > len(b) {
					continue
				}
				here := b[pos : pos+len(a.Bytes)]
				if bytes.Equal(here, a.Bytes) || a.Fold && strings.EqualFold(string(here), string(a.Bytes)) {
					want = append(want, hit{i, pos})
				}
			}
		}
		cut := rapid.IntRange(0, len(b)/2).Draw(t, "cut") * 2
		if got := find(match.New(anchors), b, cut); !slices.Equal(got, want) {
			t.Fatalf("found %v, not %v", got, want)
		}
	})
}

// FuzzFind searches any bytes for anchors cut from any bytes, as rules of
// users are.
func FuzzFind(f *testing.F) {
	f.Add([]byte("-----BEGIN\x00AKIA\x00<html"), []byte("x -----BEGIN RSA <HTML> AKIA0"), uint16(4))
	f.Add([]byte("\xff\xd8\xff\x00\x1f\x8b\x08"), []byte("\xff\xff\xd8\xff\xe0\x1f\x8b\x08\x00"), uint16(2))
	f.Fuzz(func(t *testing.T, texts, b []byte, cut uint16) {
		var anchors []match.Anchor
		for i, text := range bytes.Split(texts, []byte{0}) {
			if len(text) < match.MinAnchor {
				continue
			}
			a := match.Anchor{Bytes: text, Fold: i%2 == 1}
			if a.Fold {
				a.Bytes = lower(text)
			}
			anchors = append(anchors, a)
		}
		var want []hit
		for pos := range b {
			for i, a := range anchors {
				if end := pos + len(a.Bytes); end <= len(b) && (bytes.Equal(b[pos:end], a.Bytes) || a.Fold && bytes.Equal(lower(b[pos:end]), a.Bytes)) {
					want = append(want, hit{i, pos})
				}
			}
		}
		at := min(int(cut), len(b)) &^ 1
		if got := find(match.New(anchors), b, at); !slices.Equal(got, want) {
			t.Errorf("found %v, not %v", got, want)
		}
	})
}

// lower turns the letters of ASCII into lower case.
func lower(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func BenchmarkFind(b *testing.B) {
	anchors := []match.Anchor{{Bytes: []byte("%PDF-")}, {Bytes: []byte("\x89PNG\r\n\x1a\n")}, {Bytes: []byte("AKIA")}, {Bytes: []byte("-----BEGIN ")}, {Bytes: []byte("<html"), Fold: true}}
	random := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 16<<20)
	for i := range buf {
		buf[i] = byte(random.Uint32())
	}
	s := match.New(anchors)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		s.Find(buf, 0, len(buf), func(int, int) {})
	}
}
