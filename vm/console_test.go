package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func stopped() time.Duration { return 0 }

// texts reads a whole console and returns its lines.
func texts(r io.Reader) []string {
	c := newConsole(stopped, nil, nil, nil)
	c.read(r)
	var list []string
	for _, l := range c.Tail(maxLines) {
		list = append(list, l.Text)
	}
	return list
}

func TestConsoleLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLineLen)
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"line ends", "one\ntwo\r\n\nfour", []string{"one", "two", "", "four"}},
		{"control sequences", "\x1b[2J\x1b[01;01H\x1bcBooting\x07 `k`\b\n", []string{"Booting `k`"}},
		{"tabs stay", "a\tb\n", []string{"a\tb"}},
		{"not UTF-8", "caf\xe9\n", []string{"caf?"}},
		{"as long as may be", long + "\nz", []string{long, "z"}},
		{"too long", long + "yz\n", []string{long, "yz"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, texts(strings.NewReader(test.in))); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, texts(iotest.OneByteReader(strings.NewReader(test.in)))); diff != "" {
				t.Errorf("lines, read byte by byte (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConsoleKeepsTheLast(t *testing.T) {
	t.Parallel()
	var in bytes.Buffer
	for i := range 3 * maxLines {
		fmt.Fprintln(&in, i)
	}
	c := newConsole(stopped, nil, nil, nil)
	c.read(&in)
	kept := c.Tail(3 * maxLines)
	if len(kept) > maxLines || len(kept) < maxLines/2 {
		t.Errorf("%d lines are kept, want about %d", len(kept), maxLines)
	}
	last := kept[len(kept)-1]
	if last.Number != 3*maxLines-1 || last.Text != fmt.Sprint(3*maxLines-1) {
		t.Errorf("the last line is %+v", last)
	}
}

func TestConsoleCopiesUntilNobodyReads(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	c := newConsole(stopped, &got, nil, nil)
	c.read(strings.NewReader("raw \x1b[1mbytes"))
	if got.String() != "raw \x1b[1mbytes" {
		t.Errorf("the copy is %q", got.String())
	}
	r, w := io.Pipe()
	r.Close()
	c = newConsole(stopped, w, nil, nil)
	c.read(iotest.OneByteReader(strings.NewReader("a\nb\n")))
	if n := len(c.Tail(9)); n != 2 {
		t.Errorf("%d lines after the copy broke, want 2", n)
	}
}

func TestConsoleWait(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	c := newConsole(stopped, nil, nil, nil)
	go c.read(r)
	fmt.Fprintln(w, "early")
	is := func(text string) func(Line) bool { return func(l Line) bool { return l.Text == text } }

	if l, err := c.Wait(t.Context(), is("early")); err != nil || l.Number != 0 {
		t.Errorf("Wait for a past line = %+v, %v", l, err)
	}
	got := make(chan error)
	go func() {
		_, err := c.Wait(t.Context(), is("late"))
		got <- err
	}()
	fmt.Fprintln(w, "late")
	if err := <-got; err != nil {
		t.Errorf("Wait for a line to come: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the cause")
	cancel(cause)
	if _, err := c.Wait(ctx, is("late")); err != nil {
		t.Errorf("Wait for a past line with an ended context: %v", err)
	}
	if _, err := c.Wait(ctx, is("never")); !errors.Is(err, cause) {
		t.Errorf("Wait = %v, want the cause", err)
	}
	w.Close()
	if _, err := c.Wait(t.Context(), is("never")); !errors.Is(err, ErrConsoleClosed) {
		t.Errorf("Wait = %v, want ErrConsoleClosed", err)
	}
}

func FuzzConsole(f *testing.F) {
	for _, seed := range []string{"", "imgbuild: up 0.9\r\n", "\x1b[2Jimgbuild: exited status 3", "[ 1.0] Kernel panic - not syncing: x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var s story
		c := newConsole(stopped, nil, nil, func(l Line) {
			if len(l.Text) > maxLineLen || strings.ContainsAny(l.Text, "\x1b\n\r\x00") {
				t.Errorf("line %q", l.Text)
			}
			s.see(l.Text, Moment{})
		})
		c.read(bytes.NewReader(in))
		if n := len(c.Tail(maxLines)); n > len(in) {
			t.Errorf("%d lines of %d bytes", n, len(in))
		}
	})
}
