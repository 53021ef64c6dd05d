package matrix

import (
	"fmt"
	"html/template"
	"io"

	"github.com/imgbuild/imgbuild/vm"
)

// The measures of the chart, in pixels.
const (
	svgWidth  = 720
	svgMargin = 130 // for the names, on the left
	svgRow    = 26
	svgBar    = 16
)

// colour of a phase; they differ in lightness as well.
func colour(phase string) string {
	switch phase {
	case vm.PhaseXen:
		return "#e4e6ea"
	case vm.PhaseFirmware:
		return "#b8bec8"
	case vm.PhaseKernel:
		return "#4878a8"
	case vm.PhaseInit:
		return "#183050"
	case vm.PhaseApp:
		return "#e0a030"
	}
	return "#70a860"
}

// chart is what the template draws.
type chart struct {
	Width, Height float64
	Bars          []svgRect
	Texts         []svgText
}

type svgRect struct {
	X, Y, W, H  float64
	Fill, Title string
}

type svgText struct {
	X, Y float64
	Text string
}

// chart places the bars of all boots on one scale.
func (r *Result) chart() *chart {
	longest := r.longest()
	if longest == 0 {
		return nil
	}
	c := &chart{Width: svgWidth}
	x := func(t float64) float64 { return svgMargin + t/longest*(svgWidth-svgMargin-60) }
	y := 0.0
	for _, run := range r.Runs {
		if len(run.Phases) == 0 {
			continue
		}
		c.Texts = append(c.Texts, svgText{X: 0, Y: y + 13, Text: run.Target})
		for _, p := range run.Phases {
			c.Bars = append(c.Bars, svgRect{x(p.Begin), y, x(p.End) - x(p.Begin), svgBar, colour(p.Name),
				fmt.Sprintf("%s: %s %.2f s", run.Target, p.Name, p.End-p.Begin)})
		}
		end := run.Phases[len(run.Phases)-1].End
		c.Texts = append(c.Texts, svgText{X: x(end) + 6, Y: y + 13, Text: fmt.Sprintf("%.2f s", end)})
		y += svgRow
	}
	for i, m := range r.marks() {
		at := svgMargin + float64(i)*100
		c.Bars = append(c.Bars, svgRect{at, y + 10, 12, 12, colour(m.phase), m.phase})
		c.Texts = append(c.Texts, svgText{X: at + 18, Y: y + 20, Text: m.phase})
	}
	c.Height = y + 30
	return c
}

// WriteHTML writes the result as a page that needs no other file and no
// script.
func (r *Result) WriteHTML(w io.Writer) error {
	if err := page.Execute(w, struct {
		*Result
		Chart *chart
	}{r, r.chart()}); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{"verdict": verdict}).Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Image}}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; max-width: 60em; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd; vertical-align: top; }
.FAILED { color: #b00020; font-weight: bold; }
code, pre { font: 12px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
svg text { font: 12px system-ui, sans-serif; }
</style>
</head>
<body>
<h1>{{.Image}}</h1>
<p>{{if .OK}}Every check succeeded{{else}}<span class="FAILED">Checks failed</span>{{end}} on the {{.Size}} bytes with the digest<br><code>{{.Digest}}</code></p>
{{with .Chart}}<h2>Boots</h2>
<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-label="How long each phase of each boot took">
{{range .Bars}}<rect x="{{printf "%.1f" .X}}" y="{{.Y}}" width="{{printf "%.1f" .W}}" height="{{.H}}" fill="{{.Fill}}"><title>{{.Title}}</title></rect>
{{end}}{{range .Texts}}<text x="{{printf "%.1f" .X}}" y="{{.Y}}">{{.Text}}</text>
{{end}}</svg>
{{end}}<h2>Checks</h2>
<table>
<tr><th>target</th><th>result</th><th>check</th><th>after</th><th>detail</th></tr>
{{range .Runs}}{{$target := .Target}}{{range .Results}}<tr><td>{{$target}}</td><td class="{{verdict .OK}}">{{verdict .OK}}</td><td>{{.Check}}</td><td>{{printf "%.2f s" .Elapsed}}</td><td>{{.Detail}}</td></tr>
{{end}}{{end}}</table>
{{range .Runs}}{{if not .OK}}<h2>The last lines of the console of {{.Target}}</h2>
<pre>{{range .Console}}{{.}}
{{end}}</pre>
{{end}}{{end}}</body>
</html>
`))
