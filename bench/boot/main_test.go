package main

import (
	"bytes"
	"slices"
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
	base := vm.Options{Disk: "x/debian.raw", Kernel: "x/vmlinuz"}
	all, err := machines(base, []string{"pvh:y/hello.raw", "bios:y/hello.raw", "direct:y/hello.raw"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.name+" beside "+s.base.name)
	}
	direct, bios := "debian.raw, direct, baseline", "debian.raw, bios, baseline"
	want := []string{
		direct + " beside " + direct, "hello.raw, pvh beside " + direct,
		bios + " beside " + bios, "hello.raw, bios beside " + bios,
		"hello.raw, direct beside " + direct,
	}
	if !slices.Equal(names, want) {
		t.Errorf("machines: %q, want %q", names, want)
	}
	if all[0].options.Kernel == "" || all[2].options.Kernel != "" {
		t.Error("a kernel is given to a boot loader, or not where there is none")
	}
	base.Cmdline = "root=/dev/vda2 console=ttyS0"
	if all, err = machines(base, []string{"xen-pv-direct:y/hello.raw"}); err != nil {
		t.Fatal(err)
	}
	if o := all[0].options; o.Boot != vm.XenPVDirect || o.Kernel == "" || o.Cmdline != "root=/dev/xvda2 console=hvc0" {
		t.Errorf("the baseline on Xen is %+v", o)
	}
	if _, err := machines(base, []string{"hello.raw"}); err == nil {
		t.Error("a disk without a road was taken")
	}
}

// A figure that was measured under emulation is never shown without the word.
func TestSummarySaysEmulated(t *testing.T) {
	t.Parallel()
	base := &series{name: "debian", moments: []vm.Moment{{Wall: 9, CPU: 6}}}
	base.base = base
	all := []*series{base, {name: "hello", base: base, moments: []vm.Moment{{Wall: 2, CPU: 1}}}}
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
