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
	disks := []string{"pvh:y/hello.raw", "bios:y/hello.raw", "direct:y/hello.raw", "uefi/nvme:y/hello.raw", "vmware:y/hello.raw"}
	all, err := machines(base, disks, []string{"vmware"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		if s.base == nil {
			s.base = &series{name: "nothing"}
		}
		names = append(names, s.name+" beside "+s.base.name)
	}
	direct, bios, nvme := "debian.raw, direct, baseline", "debian.raw, bios, baseline", "debian.raw, uefi/nvme, baseline"
	want := []string{
		direct + " beside " + direct, "hello.raw, pvh beside " + direct,
		bios + " beside " + bios, "hello.raw, bios beside " + bios,
		"hello.raw, direct beside " + direct,
		nvme + " beside " + nvme, "hello.raw, uefi/nvme beside " + nvme,
		"hello.raw, vmware beside nothing",
	}
	if !slices.Equal(names, want) {
		t.Errorf("machines: %q, want %q", names, want)
	}
	if all[0].options.Kernel == "" || all[2].options.Kernel != "" {
		t.Error("a kernel is given to a boot loader, or not where there is none")
	}
	if o := all[5].options; o.Bus != vm.NVMe || o.Boot != vm.UEFI || o.Kernel != "" {
		t.Errorf("the baseline on NVMe is %+v", o)
	}
	base.Cmdline = "root=PARTUUID=1 console=ttyS0"
	if all, err = machines(base, []string{"xen-pv-direct:y/hello.raw"}, nil); err != nil {
		t.Fatal(err)
	}
	if o := all[0].options; o.Boot != vm.XenPVDirect || o.Kernel == "" || o.Cmdline != "root=PARTUUID=1 console=hvc0" {
		t.Errorf("the baseline on Xen is %+v", o)
	}
	for _, wrong := range []string{"hello.raw", "quick:hello.raw", "none:hello.raw"} {
		if _, err := machines(base, []string{wrong}, nil); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func TestSpending(t *testing.T) {
	t.Parallel()
	at := func(cpu float64) *vm.Moment { return &vm.Moment{Wall: 1, CPU: cpu} }
	whole := vm.Timeline{Created: at(2), Up: at(5), Started: at(5.5), Answered: at(10)}
	if got := spending(whole); len(got) != 1 || got[0] != (spent{3, 0.5, 4.5}) {
		t.Errorf("spending: %v", got)
	}
	if got := spending(vm.Timeline{Ready: at(9), Answered: at(10)}); got != nil {
		t.Errorf("of a guest without init: %v", got)
	}
}

// A figure that was measured under emulation is never shown without the word.
func TestSummarySaysEmulated(t *testing.T) {
	t.Parallel()
	base := &series{name: "debian", moments: []vm.Moment{{Wall: 9, CPU: 6}}}
	base.base = base
	base.rates = []rate{{10, 20}}
	all := []*series{base, {name: "hello", base: base, moments: []vm.Moment{{Wall: 2, CPU: 1}}, rates: []rate{{12, 26}}, spent: []spent{{0.25, 0.375, 0.375}}}}
	var out bytes.Buffer
	if err := summary(&out, "to the first answer", all, vm.TCG); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"emulated", "x4.5", "x6.0", "x1.0", "x1.2", "x1.3", "0.38 (0.38-0.38)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the summary lacks %q:\n%s", want, out.String())
		}
	}
	if err := summary(&out, "to the first answer", []*series{{name: "debian"}}, vm.TCG); err == nil {
		t.Error("a summary was made of nothing")
	}
}
