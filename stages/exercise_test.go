package stages

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadMatch(t *testing.T) {
	for _, tt := range []struct {
		said, expect string
		ok           bool
	}{
		{"imok", "^imok$", true},
		{"Latency: 0\nMode: standalone\n", "(?m)^Mode: ", true},
		{"anything", "", true},
		{"", "", false}, // a connection that is closed in silence is no answer
		{"not serving", "Mode", false},
	} {
		for name, r := range map[string]io.Reader{
			"at once":      strings.NewReader(tt.said),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tt.said)),
		} {
			err := readMatch(r, regexp.MustCompile(tt.expect))
			if (err == nil) != tt.ok {
				t.Errorf("readMatch(%q, %q) %s = %v, want success %v", tt.said, tt.expect, name, err, tt.ok)
			}
			if err != nil && (!errors.Is(err, io.EOF) || !strings.Contains(err.Error(), tt.said)) {
				t.Errorf("readMatch(%q, %q) = %v, want what was said and why it ended", tt.said, tt.expect, err)
			}
		}
	}
	if err := readMatch(endless{}, regexp.MustCompile("b")); err == nil || !strings.Contains(err.Error(), "first") {
		t.Errorf("readMatch of an endless answer = %v", err)
	}
}

// endless says the same for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}
