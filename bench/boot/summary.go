package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/imgbuild/imgbuild/vm"
)

// summary prints medians with their range, and how many times as much the
// baseline by the same road needs.
func summary(out io.Writer, what string, all []*series, accel vm.Accel) error {
	if len(all[0].moments) == 0 {
		return errors.New("no rounds were asked for")
	}
	how := string(accel)
	if accel == vm.TCG {
		how = "emulated"
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\n%s (%s)\twall, s\tbaseline\tQEMU CPU-s\tbaseline\n", what, how)
	for _, s := range all {
		w, p := spread(s.moments, wall), spread(s.moments, processor)
		if s.base == nil {
			fmt.Fprintf(tw, "%s\t%v\t\t%v\t\n", s.name, w, p)
			continue
		}
		baseWall, baseCPU := spread(s.base.moments, wall), spread(s.base.moments, processor)
		fmt.Fprintf(tw, "%s\t%v\tx%.1f\t%v\tx%.1f\n", s.name,
			w, baseWall.median/w.median, p, baseCPU.median/p.median)
	}
	if err := errors.Join(tw.Flush(), spendings(out, all)); err != nil || len(all[0].rates) == 0 {
		return err
	}
	fmt.Fprintf(tw, "\nunder load (%s)\tanswers a second\tbaseline\ta CPU-second\tbaseline\n", how)
	for _, s := range all {
		r, p := spread(s.rates, bySecond), spread(s.rates, byProcessor)
		if s.base == nil {
			fmt.Fprintf(tw, "%s\t%v\t\t%v\t\n", s.name, r, p)
			continue
		}
		fmt.Fprintf(tw, "%s\t%v\tx%.1f\t%v\tx%.1f\n", s.name, r, r.median/spread(s.base.rates, bySecond).median,
			p, p.median/spread(s.base.rates, byProcessor).median)
	}
	return tw.Flush()
}

func bySecond(r rate) float64       { return r.second }
func byProcessor(r rate) float64    { return r.cpuSecond }
func wall(m vm.Moment) float64      { return m.Wall }
func processor(m vm.Moment) float64 { return m.CPU }

// stats are the median and the range of a measure.
type stats struct{ least, median, most float64 }

func (s stats) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", s.median, s.least, s.most) }

func spread[T any](moments []T, of func(T) float64) stats {
	sorted := make([]float64, len(moments))
	for i, m := range moments {
		sorted[i] = of(m)
	}
	slices.SortFunc(sorted, cmp.Compare)
	n := len(sorted)
	return stats{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n-1]}
}
