package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/vm"
)

func TestSpread(t *testing.T) {
	t.Parallel()
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

func TestMachines(t *testing.T) {
	t.Parallel()
	all, err := machines(vm.Options{Disk: "x/debian.raw"}, []string{"pvh:y/hello.raw"})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].options.Disk != "x/debian.raw" ||
		all[1].options.Boot != vm.PVH || all[1].options.Disk != "y/hello.raw" {
		t.Errorf("machines = %+v, %+v", all[0], all[len(all)-1])
	}
	if _, err := machines(vm.Options{}, []string{"hello.raw"}); err == nil {
		t.Error("a disk without a road was taken")
	}
}

// A figure that was measured under emulation is never shown without the word.
func TestSummarySaysEmulated(t *testing.T) {
	t.Parallel()
	all := []*series{
		{name: "debian", moments: []vm.Moment{{Wall: 9, CPU: 6}}},
		{name: "hello", moments: []vm.Moment{{Wall: 2, CPU: 1}}},
	}
	var out bytes.Buffer
	if err := summary(&out, all, vm.TCG); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"emulated", "x4.5", "x6.0", "x1.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, out.String())
		}
	}
	if err := summary(&out, []*series{{name: "debian"}}, vm.TCG); err == nil {
		t.Error("a summary was made of nothing")
	}
}
