package matrix

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/imgbuild/imgbuild/vm"
)

// WriteText writes the result for people: a table of all checks, and below it
// the boots, as figures and as a chart.
func (r *Result) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d bytes\n%s\n\n", r.Image, r.Size, r.Digest)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, run := range r.Runs {
		for _, res := range run.Results {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f s\t%s\n", run.Target, verdict(res.OK), res.Check, res.Elapsed, oneLine(res.Detail))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if err := r.writeBoots(w); err != nil {
		return err
	}
	for _, run := range r.Runs {
		if run.OK() || len(run.Console) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nThe last lines of the console of %s:\n", run.Target)
		for _, line := range run.Console {
			if _, err := fmt.Fprintf(w, "    | %s\n", line); err != nil {
				return err
			}
		}
	}
	return nil
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAILED"
}

// oneLine keeps a row of the table in its row.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
}

// chartWidth is how many characters the longest boot has.
const chartWidth = 60

// mark is the letter that draws a phase.
type mark struct{ phase, mark string }

// marks are those of all phases, in order.
func marks() []mark {
	return []mark{
		{vm.PhaseXen, "x"}, {vm.PhaseFirmware, "f"}, {vm.PhaseKernel, "k"}, {vm.PhaseInit, "i"}, {vm.PhaseApp, "a"}, {vm.PhaseAnswer, "r"},
	}
}

// marks leaves out the phase that only targets on Xen have, when there are none.
func (r *Result) marks() []mark {
	for _, run := range r.Runs {
		if len(run.Phases) > 0 && run.Phases[0].Name == vm.PhaseXen {
			return marks()
		}
	}
	return marks()[1:]
}

// writeBoots writes how long each phase of each boot took, in seconds.
func (r *Result) writeBoots(w io.Writer) error {
	longest := r.longest()
	if longest == 0 {
		return nil
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "boot, in seconds\t")
	for _, m := range r.marks() {
		fmt.Fprintf(tw, "%s\t", m.phase)
	}
	fmt.Fprintln(tw, "sum\tCPU\t")
	for _, run := range r.Runs {
		if len(run.Phases) == 0 {
			continue
		}
		fmt.Fprintf(tw, "%s by %s\t", run.Target, run.Accel)
		for _, m := range r.marks() {
			fmt.Fprintf(tw, "%s\t", took(run.Phases, m.phase))
		}
		fmt.Fprintf(tw, "%.2f\t%s\t\n", run.Phases[len(run.Phases)-1].End, cpu(run.Timeline))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	width := 0
	for _, run := range r.Runs {
		width = max(width, len(run.Target))
	}
	for _, run := range r.Runs {
		if bar := bar(run.Phases, longest); bar != "" {
			fmt.Fprintf(w, "%-*s %s\n", width, run.Target, bar)
		}
	}
	var legend []string
	for _, m := range r.marks() {
		legend = append(legend, m.mark+" "+m.phase)
	}
	_, err := fmt.Fprintf(w, "%-*s %s; %d characters are %.2f s\n", width, "", strings.Join(legend, "  "), chartWidth, longest)
	return err
}

// longest returns how long the longest boot took, in seconds.
func (r *Result) longest() float64 {
	longest := 0.0
	for _, run := range r.Runs {
		if n := len(run.Phases); n > 0 {
			longest = max(longest, run.Phases[n-1].End)
		}
	}
	return longest
}

// took is the length of a phase, in seconds, or a dash.
func took(phases []vm.Phase, name string) string {
	for _, p := range phases {
		if p.Name == name {
			return fmt.Sprintf("%.2f", p.End-p.Begin)
		}
	}
	return "-"
}

// cpu is the processor time of QEMU up to the first answer, in seconds.
func cpu(t vm.Timeline) string {
	if t.Answered == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", t.Answered.CPU)
}

// bar draws a boot to the scale of the longest. Every border is rounded by
// itself, so that bars of the same moments have the same length.
func bar(phases []vm.Phase, longest float64) string {
	at := func(t float64) int { return int(t/longest*chartWidth + 0.5) }
	var b strings.Builder
	for _, p := range phases {
		for _, m := range marks() {
			if m.phase == p.Name {
				b.WriteString(strings.Repeat(m.mark, at(p.End)-at(p.Begin)))
			}
		}
	}
	return b.String()
}
