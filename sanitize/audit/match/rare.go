package match

import (
	"bytes"
	"strings"
)

// frequent are pairs of letters and signs that text and markup are full of:
// about half of all pairs in English, in HTML, in XML and in source code.
const frequent = "th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa si ar ve " +
	"ra ld ur ic ne ro ll ce li ch co ma om us ho pa ns no ac ap ep ty pe ge be la ri io ct ut tr sp ss pr po el mo di " +
	"ca so wi wh em mi pl rs un ec ee il id me ta na ad ot ir am ol ul fo up vi nc ht hr cl tt lt rt ps pa sc bl wi ul ab -c p- t- p: :/ // ./ =\" \"> </ />"

var often = func() map[string]bool {
	set := map[string]bool{}
	for _, p := range strings.Fields(frequent) {
		set[p] = true
	}
	return set
}()

// rarest returns where the three bytes are whose pairs occur least on disks.
func (a Anchor) rarest() int {
	best, at := 1<<30, 0
	for i := 0; i+MinAnchor <= len(a.Bytes); i++ {
		// Both pairs cost: that of even and that of odd places. A byte behind
		// a pair rules out all but an eighth.
		n := common(a.Bytes[i:i+2]) + common(a.Bytes[i+1:i+3])
		if i+MinAnchor == len(a.Bytes) {
			n += 7 * common(a.Bytes[i+1:i+3])
		}
		if n < best {
			best, at = n, i
		}
	}
	return at
}

// common weighs how often a pair occurs in text and in programs.
func common(pair []byte) int {
	n := weight(pair[0]) * weight(pair[1])
	if often[string(pair)] {
		n += 2000
	}
	return n
}

// weight weighs how often a byte occurs.
func weight(b byte) int {
	switch {
	case b == 0:
		return 60
	case bytes.IndexByte([]byte(" etaoinsr"), b) >= 0:
		return 30
	case b >= 'a' && b <= 'z' || b == 0xff || b == 1:
		return 15
	case b >= '0' && b <= '9' || b == '\n' || b == '-' || b == '.' || b == '/' || b == '<' || b == '>' || b == '=' || b == '"':
		return 8
	case b >= 'A' && b <= 'Z' || b == '_':
		return 5
	case b < 0x20:
		return 4
	}
	return 2
}
