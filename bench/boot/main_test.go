package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/vm"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	wall := func(m vm.Moment) float64 { return m.Wall }
	for _, test := range []struct {
		in   []vm.Moment
		want stats
	}{
		{[]vm.Moment{{Wall: 3}}, stats{3, 3, 3}},
		{[]vm.Moment{{Wall: 3}, {Wall: 1}, {Wall: 2}}, stats{1, 2, 3}},
		{[]vm.Moment{{Wall: 4}, {Wall: 1}, {Wall: 2}, {Wall: 3}}, stats{1, 2.5, 4}},
	} {
		if got := spread(test.in, wall); got != test.want {
			t.Errorf("spread(%v) = %v, want %v", test.in, got, test.want)
		}
	}
}

// A figure that was measured under emulation is never shown without the word.
func TestSummarySaysEmulated(t *testing.T) {
	t.Parallel()
	a := &series{name: "A", moments: []vm.Moment{{Wall: 2, CPU: 1}}}
	b := &series{name: "B", moments: []vm.Moment{{Wall: 9, CPU: 6}}}
	var out bytes.Buffer
	if err := summary(&out, a, b, vm.TCG); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"emulated", "4.5", "6.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, out.String())
		}
	}
}
