package secret

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// Match is what a rule found.
type Match struct {
	Severity Severity
	Title    string
	// Size is the number of bytes that matched.
	Size int64
	// Masked is the secret as reports may show it.
	Masked string
	// Note says what a reader should know: "encrypted".
	Note string
}

// Check tries the rule's pattern where v begins. path is the file that holds
// the bytes; "" where no file does.
func (r *Rule) Check(v *carve.View, path string) (Match, bool) {
	if len(r.paths) > 0 && !r.matchesPath(path) {
		return Match{}, false
	}
	if r.Alone {
		if b := v.Bytes(-1, 1); b != nil && isWord(b[0]) {
			return Match{}, false
		}
	}
	if r.before != nil && !r.preceded(v) {
		return Match{}, false
	}
	b := v.Bytes(0, int(min(int64(r.Window), v.Len())))
	at := r.re.FindSubmatchIndex(b)
	if at == nil {
		return Match{}, false
	}
	whole, secret := b[:at[1]], b[:at[1]]
	if len(at) > 2 && at[2] >= 0 {
		secret = b[at[2]:at[3]]
	}
	if entropy(secret) < r.Entropy || anyMatch(r.unlike, whole) {
		return Match{}, false
	}
	m := Match{Severity: r.Severity, Title: r.Title, Size: int64(len(whole)), Masked: Mask(secret)}
	if r.protected != nil && r.protected.Match(whole) {
		m.Severity, m.Note = r.Protected.Severity, r.Protected.Note
	}
	if r.near == nil {
		return m, true
	}
	beside := r.beside(v, m.Size)
	if beside && r.Near.Severity > 0 {
		m.Severity, m.Title = r.Near.Severity, r.Near.Title
	}
	return m, beside || r.Near.Severity > 0
}

// preceded tries the pattern of what must end where v begins. Behind a zero
// byte a text begins, and it may begin where a block does.
func (r *Rule) preceded(v *carve.View) bool {
	const block = 4096
	n := min(maxBefore, v.Before())
	b := v.Bytes(-n, int(n))
	b = b[bytes.LastIndexByte(b, 0)+1:]
	if r.before.Match(b) {
		return true
	}
	own := v.At() % block
	return own < int64(len(b)) && r.before.Match(b[int64(len(b))-own:])
}

// beside looks for the near pattern around a match of n bytes.
func (r *Rule) beside(v *carve.View, n int64) bool {
	within := int64(r.Near.Within)
	before := min(within, v.Before())
	if b := v.Bytes(-before, int(before)); before > 0 && r.near.Match(b) {
		return true
	}
	after := min(within, v.Len()-n)
	b := v.Bytes(n, int(after))
	return after > 0 && r.near.Match(b)
}

// CheckPath reports whether the file at path, which begins with head, is a
// finding by itself.
func (r *Rule) CheckPath(path string, head []byte) (Match, bool) {
	if len(r.Anchors) > 0 || len(r.Files) > 0 || !r.matchesPath(path) {
		return Match{}, false
	}
	m := Match{Severity: r.Severity, Title: r.Title, Size: int64(len(head))}
	if r.content == nil {
		// An empty file tells nothing, nor does one of zeros.
		return m, len(bytes.TrimLeft(head, "\x00 \n\t")) > 0
	}
	at := r.content.FindSubmatchIndex(head)
	if at == nil {
		return m, false
	}
	if len(at) > 2 && at[2] >= 0 {
		m.Masked = Mask(head[at[2]:at[3]])
	}
	if r.protected != nil && r.protected.Match(head) {
		m.Severity, m.Note = r.Protected.Severity, r.Protected.Note
	}
	return m, true
}

func (r *Rule) matchesPath(path string) bool {
	return path != "" && slices.ContainsFunc(r.paths, func(g *glob) bool { return g.match(path) })
}

func anyMatch(list []*regexp.Regexp, b []byte) bool {
	for _, re := range list {
		if re.Match(b) {
			return true
		}
	}
	return false
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// entropy is Shannon's, in bits for each byte.
func entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(b))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// Mask hides a secret: of a long one the first four characters stay, so that
// its owner knows which it is; of a short one nothing does.
func Mask(secret []byte) string {
	const long, shown = 16, 4
	s := string(secret)
	if line, _, ok := strings.Cut(s, "\n"); ok && strings.HasPrefix(line, "-----BEGIN ") {
		return fmt.Sprintf("%s … (%d bytes)", strings.TrimRight(line, "\r"), len(secret))
	}
	head := ""
	if len(secret) >= long {
		head = strings.Map(func(r rune) rune {
			if r < 0x20 || r > 0x7e {
				return '.'
			}
			return r
		}, s[:shown])
	}
	return fmt.Sprintf("%s… (%d bytes)", head, len(secret))
}
