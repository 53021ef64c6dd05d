package show_test

import (
	"testing"

	"github.com/imgbuild/imgbuild/inspect/internal/show"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		`a "quoted" C:\path`:   `a "quoted" C:\path`,
		"Grüße":                "Grüße",
		"\x1b[31mred":          `\x1b[31mred`,
		"a\r\nb":               `a\r\nb`,
		"\xff":                 `\xff`,
		"right-to-left \u202e": `right-to-left \u202e`,
	} {
		if got := show.Plain(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 36 << 20: "36 MiB", 9 << 30: "9 GiB", 1 << 62: "4 EiB",
	} {
		if got := show.Size(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
