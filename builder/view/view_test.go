package view_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/view"
	"github.com/imgbuild/imgbuild/fault"
)

var start = time.Unix(1_000_000_000, 0).UTC()

func at(ms int, ev builder.Event) builder.Event {
	ev.Time = start.Add(time.Duration(ms) * time.Millisecond)
	return ev
}

// story is a run in which everything happens once.
func story() []builder.Event {
	return []builder.Event{
		at(0, builder.Event{Kind: builder.Planned, Stage: "disk"}),
		at(0, builder.Event{Kind: builder.Planned, Stage: "kernel"}),
		at(0, builder.Event{Kind: builder.Planned, Stage: "tree"}),
		at(10, builder.Event{Kind: builder.Cached, Stage: "kernel", Reason: "nothing changed"}),
		at(100, builder.Event{Kind: builder.Started, Stage: "tree", Title: "unpack", Reason: "inputs changed: jar"}),
		at(1100, builder.Event{Kind: builder.Progress, Stage: "tree", Done: 1 << 20, Total: 4 << 20, Unit: builder.Bytes}),
		at(2100, builder.Event{Kind: builder.Progress, Stage: "tree", Done: 2 << 20, Total: 4 << 20, Unit: builder.Bytes}),
		at(2200, builder.Event{Kind: builder.Warning, Stage: "tree", Message: "odd\x1b[2Jname"}),
		at(3000, builder.Event{Kind: builder.Finished, Stage: "tree", Elapsed: 2900 * time.Millisecond, Reason: "inputs changed: jar"}),
		at(3000, builder.Event{Kind: builder.Waiting, Stage: "disk", Message: "another build is making this"}),
		at(4000, builder.Event{Kind: builder.Started, Stage: "disk"}),
		at(4100, builder.Event{Kind: builder.Progress, Stage: "disk", Done: 7, Unit: builder.Files}),
		at(125_000, builder.Event{Kind: builder.Failed, Stage: "disk", Error: "no space\nleft", Hints: []string{"free some"}}),
		at(125_100, builder.Completion(start, start.Add(125_100*time.Millisecond), fault.New(fault.Environment, errors.New("stage disk: no space"), "free some"))),
	}
}

func TestPlain(t *testing.T) {
	var buf bytes.Buffer
	v := view.NewPlain(&buf, view.Options{Explain: true})
	for _, ev := range story() {
		v.Event(ev)
	}
	v.Event(at(125_200, builder.Event{Kind: builder.Result, Message: "out/hello.raw"}))
	want := `   0.0s  kernel: cached (nothing changed)
   0.1s  tree: started: unpack (inputs changed: jar)
   2.2s  tree: warning: odd [2Jname
   3.0s  tree: finished in 2.9s (inputs changed: jar)
   3.0s  disk: waiting: another build is making this
   4.0s  disk: started
  2m05s  disk: failed
  2m05s  failed after 2m05s
  2m05s  made out/hello.raw
`
	if diff := cmp.Diff(want, buf.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	var buf bytes.Buffer
	v := view.NewJSON(&buf)
	for _, ev := range story() {
		v.Event(ev)
	}
	var got []builder.Event
	for line := range strings.Lines(buf.String()) {
		var ev builder.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, ev)
	}
	if diff := cmp.Diff(story(), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// screen is what a terminal shows after what was written to it, for the
// sequences that the view uses.
func screen(t *testing.T, out string) []string {
	t.Helper()
	var lines []string
	row := 0
	for part := range strings.SplitAfterSeq(out, "\n") {
		for strings.HasPrefix(part, "\x1b[") || strings.HasPrefix(part, "\r\x1b[J") {
			if rest, ok := strings.CutPrefix(part, "\r\x1b[J"); ok {
				lines, part = lines[:row], rest
				continue
			}
			n, rest, ok := strings.Cut(part[2:], "A")
			if !ok || len(n) != 1 {
				t.Fatalf("unknown sequence in %q", part)
			}
			row -= int(n[0] - '0')
			part = rest
		}
		if text, ok := strings.CutSuffix(part, "\n"); ok {
			lines = append(lines[:row], text)
			row++
		} else if part != "" {
			t.Fatalf("unfinished line %q", part)
		}
	}
	return lines
}

func TestTTY(t *testing.T) {
	var buf bytes.Buffer
	v := view.NewTTY(&buf, func() int { return 100 }, view.Options{})
	check := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, screen(t, buf.String())); diff != "" {
			t.Errorf("screen (-want +got):\n%s", diff)
		}
	}
	events := story()
	show := func(n int) {
		for _, ev := range events[:n] {
			v.Event(ev)
		}
		events = events[n:]
	}
	show(5)
	check("kernel: cached", "[1/3] 0.1s", "  tree  0.0s  unpack")
	show(2)
	check("kernel: cached", "[1/3] 2.1s", "  tree  [##########..........]  2.0 MiB of 4.0 MiB  2.0s left  2.0s  unpack")
	show(2)
	check("kernel: cached", "tree: warning: odd [2Jname", "tree: finished in 2.9s")
	show(1)
	check("kernel: cached", "tree: warning: odd [2Jname", "tree: finished in 2.9s",
		"[2/3] 3.0s", "  disk  waiting: another build is making this  0.0s")
	show(2)
	v.Tick(start.Add(64 * time.Second))
	check("kernel: cached", "tree: warning: odd [2Jname", "tree: finished in 2.9s", "[2/3] 1m04s", "  disk  7 files  1m00s")
	show(len(events))
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	check("kernel: cached", "tree: warning: odd [2Jname", "tree: finished in 2.9s", "disk: failed", "failed after 2m05s")
}

func TestNarrow(t *testing.T) {
	for width := range 40 {
		var buf bytes.Buffer
		v := view.NewTTY(&buf, func() int { return width }, view.Options{})
		v.Event(at(0, builder.Event{Kind: builder.Started, Stage: "stage", Title: strings.Repeat("ä", 200)}))
		limit := width
		if width == 0 {
			limit = 80
		}
		for _, line := range screen(t, buf.String()) {
			if n := len([]rune(line)); n >= limit && limit > 1 {
				t.Errorf("a line of %d columns on %d", n, limit)
			}
		}
	}
}

func TestColor(t *testing.T) {
	for _, color := range []bool{true, false} {
		var buf bytes.Buffer
		v := view.NewTTY(&buf, func() int { return 80 }, view.Options{Color: color})
		v.Event(at(0, builder.Event{Kind: builder.Finished, Stage: "s"}))
		if got := strings.Contains(buf.String(), "\x1b[32m"); got != color {
			t.Errorf("colour %v: %q", color, &buf)
		}
	}
}

func typeName(v view.View) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*view.") }

func TestNew(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for mode, want := range map[view.Mode]view.View{
		view.Auto: &view.PlainView{}, view.Plain: &view.PlainView{}, view.JSON: &view.JSONView{},
	} {
		v, err := view.New(mode, f, view.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := typeName(v), typeName(want); got != want {
			t.Errorf("%s is %s, not %s", mode, got, want)
		}
	}
	tty, err := view.New(view.TTY, f, view.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tty.Event(at(0, builder.Event{Kind: builder.Started, Stage: "s"}))
	if err := tty.Close(); err != nil {
		t.Error(err)
	}
	if _, err := view.New("loud", f, view.Options{}); fault.KindOf(err) != fault.Usage {
		t.Errorf("error %v", err)
	}
	f.Close()
	for _, v := range []view.View{view.NewPlain(f, view.Options{}), view.NewJSON(f), view.NewTTY(f, func() int { return 0 }, view.Options{})} {
		v.Event(at(0, builder.Event{Kind: builder.Started, Stage: "s"}))
		if v.Close() == nil {
			t.Errorf("%s does not tell that it could not write", typeName(v))
		}
	}
}
