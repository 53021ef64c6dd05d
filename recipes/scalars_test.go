package recipes

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	good := map[string]Size{
		"auto": 0, "0": 0, "4096": 4096, "64MiB": 64 << 20, "10MB": 10e6, "512K": 512 << 10, "1Gi": 1 << 30,
		"1 GiB": 1 << 30, "7B": 7, "3kB": 3000, "3k": 3072, "1TiB": 1 << 40, "2TB": 2e12, "9223372036854775807": 1<<63 - 1,
	}
	for text, want := range good {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, int64(got), err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "MiB", "1.5GiB", "1 XB", "8388608TiB", "9223372036854775808", "1  GiB", " 1", "Auto", "1mib", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, int64(got))
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom(sizeUnits).Draw(t, "unit")
		n := rapid.Int64Range(0, (1<<63-1)/unit.bytes).Draw(t, "n")
		s, err := ParseSize(strconv.FormatInt(n, 10) + unit.name)
		if err != nil || int64(s) != n*unit.bytes {
			t.Fatalf("got %d, %v", int64(s), err)
		}
		if again, err := ParseSize(s.String()); err != nil || again != s {
			t.Fatalf("%s reads as %d, %v; want %d", s, int64(again), err, int64(s))
		}
	})
}

func TestDurationRoundTrip(t *testing.T) {
	for text, want := range map[string]string{"60s": "1m", "90s": "1m30s", "3600s": "1h", "500ms": "500ms", "1h5s": "1h0m5s", "1h30m": "1h30m"} {
		var d Duration
		if err := d.parseText(text); err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v; want %s", text, d, err, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(1, int64(100*time.Hour)).Draw(t, "d"))
		var again Duration
		if err := again.parseText(d.String()); err != nil || again != d {
			t.Fatalf("%s reads as %s, %v", d, again, err)
		}
	})
}
