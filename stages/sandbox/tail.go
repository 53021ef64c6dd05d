package sandbox

import (
	"strings"
	"sync"
)

// tail keeps the last few kilobytes of what is written.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if len(t.data) > 2*tailSize {
		t.data = append([]byte(nil), t.data[len(t.data)-tailSize:]...)
	}
	return len(p), nil
}

// after returns the rest of the last line that begins with one of the
// prefixes, among the last few.
func (t *tail) after(prefixes ...string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.data)), "\n")
	for i := len(lines) - 1; i >= max(0, len(lines)-3); i-- {
		for _, prefix := range prefixes {
			if rest, ok := strings.CutPrefix(lines[i], prefix); ok {
				return rest
			}
		}
	}
	return ""
}
