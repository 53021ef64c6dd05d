package xen

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dom0 answers on the other end of a control as the script does: commands by
// their word, one after the other.
func dom0(t *testing.T, events func(Event), answers map[string]string) *Control {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	c := NewControl(ours, events)
	go c.Serve()
	go func() {
		fmt.Fprint(theirs, "* created 7.25 1\nnoise\n7 = 0\n")
		lines := bufio.NewScanner(theirs)
		for lines.Scan() {
			id, command, _ := strings.Cut(lines.Text(), " ")
			answer, ok := answers[command]
			if !ok {
				theirs.Close()
				return
			}
			fmt.Fprint(theirs, strings.ReplaceAll(answer, "ID", id))
		}
	}()
	return c
}

func TestControl(t *testing.T) {
	t.Parallel()
	c := dom0(t, func(Event) {}, map[string]string{
		"xl list": "ID : Domain-0 512\nID :   guest  256\n99 = 0\nID = 0\n",
		"false":   "ID : no\nID = 3\n",
	})
	out, err := c.Run(t.Context(), "xl", "list")
	if want := "Domain-0 512\n  guest  256"; err != nil || out != want {
		t.Errorf("Run = %q, %v; want %q", out, err, want)
	}
	if _, err := c.Run(t.Context(), "false"); err == nil || !strings.Contains(err.Error(), "status 3: no") {
		t.Errorf("Run(false) = %v", err)
	}
	if _, err := c.Run(t.Context(), "echo a\nreboot"); err == nil {
		t.Error("one command became two")
	}
	if _, err := c.Run(t.Context(), "die"); err == nil || !strings.Contains(err.Error(), `waiting for "die"`) {
		t.Errorf("Run(die) = %v, want the end of the connection", err)
	}
	if _, err := c.Run(t.Context(), "xl list"); err == nil {
		t.Error("a dead dom0 executes commands")
	}
}

func TestControlTimesOut(t *testing.T) {
	t.Parallel()
	c := dom0(t, func(Event) {}, map[string]string{"sleep": ""})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Run(ctx, "sleep"); err == nil || ctx.Err() == nil {
		t.Errorf("Run = %v", err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var got []Event
	ours, theirs := net.Pipe()
	go func() {
		io.WriteString(theirs, "* created 7.25 1\n* ended soon 0\n* odd\n* ended 60.5 3\n* failed no memory  left\n")
		theirs.Close()
	}()
	NewControl(ours, func(e Event) { got = append(got, e) }).Serve()
	want := []Event{{"created", 7.25, ""}, {"ended", 60.5, ReasonCrash}, {"failed", 0, "no memory  left"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// FuzzControl: whatever dom0 says, the control ends with the connection, and
// keeps no more of a command's output than it may.
func FuzzControl(f *testing.F) {
	f.Add("* created 7.25 1\n1 : text\n1 = 0\n")
	f.Add("1 = \n* ended\n1 : \n: : :\n")
	f.Add("1 " + strings.Repeat("= 0\n1 : ", 10))
	f.Fuzz(func(t *testing.T, said string) {
		ours, theirs := net.Pipe()
		c := NewControl(ours, func(Event) {})
		p := &command{status: make(chan int, 1)}
		c.pending[1] = p
		go func() {
			io.WriteString(theirs, said) // an error is the other end's having given up
			theirs.Close()
		}()
		c.Serve()
		if len(p.output) > maxOutput {
			t.Errorf("%d lines are kept", len(p.output))
		}
	})
}
