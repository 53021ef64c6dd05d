package vm

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
)

// A monitor that says nonsense or hangs up ends every call with an error.
func TestMonitorHangsUp(t *testing.T) {
	t.Parallel()
	const greeting = `{"QMP":{"version":{},"capabilities":[]}}` + "\n"
	for name, answer := range map[string]string{
		"before the greeting": "",
		"after the greeting":  greeting + greeting,
		"nonsense":            greeting + "]\n",
		"another id":          greeting + `{"return":{},"id":77}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			q := newQMP(ours, func(string, json.RawMessage) {})
			go func() {
				defer theirs.Close()
				io.WriteString(theirs, answer)
				if strings.Contains(answer, "QMP") {
					bufio.NewReader(theirs).ReadString('\n')
				}
			}()
			if err := q.negotiate(t.Context()); err == nil {
				t.Error("negotiate succeeded")
			}
			if err := q.Powerdown(t.Context()); err == nil {
				t.Error("a command succeeded on a broken connection")
			}
		})
	}
}
