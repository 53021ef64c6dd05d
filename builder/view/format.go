package view

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/imgbuild/imgbuild/builder"
)

// Clean replaces control characters: messages may quote programs and files,
// which must not command the terminal. Line feeds stay.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// duration is a time span for people: 0.4s, 12.3s, 4m05s, 1h02m.
func duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// size is a number of bytes for people: 512 B, 4.0 KiB, 1.2 GiB.
func size(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, units := float64(n)/1024, "KMGTPE"
	for v >= 1024 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", v, units[0])
}

// amount is how much of its work a stage has done.
func amount(ev builder.Event) string {
	show := func(n int64) string {
		if ev.Unit == builder.Bytes {
			return size(n)
		}
		return fmt.Sprint(n)
	}
	text := show(ev.Done)
	if ev.Total > 0 {
		text += " of " + show(ev.Total)
	}
	if ev.Unit != builder.Bytes {
		text += " " + string(ev.Unit)
	}
	return text
}

// bar draws a share of the whole, width columns wide.
func bar(done, total int64, width int) string {
	full := int(float64(width) * min(max(float64(done)/float64(total), 0), 1))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

// line is what a finished event is told as: the same words in every view.
// Events that have no line of their own give "".
func line(ev builder.Event, opts Options) string {
	name := ev.Stage
	because := ""
	if opts.Explain && ev.Reason != "" {
		because = " (" + ev.Reason + ")"
	}
	var text string
	switch ev.Kind {
	case builder.Started:
		text = name + ": started"
		if ev.Title != "" {
			text += ": " + ev.Title
		}
		text += because
	case builder.Waiting:
		text = name + ": waiting: " + ev.Message
	case builder.Cached:
		text = name + ": cached" + because
	case builder.Finished:
		text = name + ": finished in " + duration(ev.Elapsed) + because
	case builder.Warning:
		text = "warning: " + ev.Message
		if name != "" {
			text = name + ": " + text
		}
	case builder.Failed:
		text = name + ": failed"
	case builder.Result:
		text = "made " + ev.Message
	case builder.Completed:
		text = "done in " + duration(ev.Elapsed)
		if ev.Error != "" {
			text = "failed after " + duration(ev.Elapsed)
		}
	}
	return strings.ReplaceAll(Clean(text), "\n", "\n    ")
}
