package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/imgbuild/imgbuild/vm"
)

// spent are the CPU-seconds of QEMU in each part of a boot: until init runs,
// until it starts the app, and until the first answer. That the app listens may
// be told only after that.
type spent [3]float64

// spending reads them off a timeline; a guest without init's lines tells none.
func spending(t vm.Timeline) []spent {
	moments := []*vm.Moment{t.Up, t.Started, t.Answered}
	var s spent
	before := 0.0
	if t.Created != nil {
		before = t.Created.CPU
	}
	for i, m := range moments {
		if m == nil {
			return nil
		}
		s[i] = max(0, m.CPU-before)
		before = m.CPU
	}
	return []spent{s}
}

// spendings prints their medians, for the machines that tell.
func spendings(out io.Writer, all []*series) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "\nwhere its CPU-seconds go\tto init\tto the app's start\tto the answer\n"
	for _, s := range all {
		if len(s.spent) == 0 {
			continue
		}
		fmt.Fprint(tw, head, s.name)
		head = ""
		for i := range len(spent{}) {
			fmt.Fprintf(tw, "\t%v", spread(s.spent, func(p spent) float64 { return p[i] }))
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}
