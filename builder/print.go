package builder

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// WriteTree writes the plan for people: each target with its inputs below it.
// What a stage needs is drawn where it appears first, and a target that stands
// below another is not drawn again. The delivery is the last line.
func (p *Plan) WriteTree(w io.Writer) error {
	var b strings.Builder
	t := treeWriter{plan: p, out: &b, drawn: make(map[string]bool)}
	for _, name := range p.targets {
		if !t.drawn[name] {
			t.node(need{stage: name}, "", "")
		}
	}
	if d := p.delivery; len(d.Gates) > 0 {
		fmt.Fprintf(&b, "%s; named when %s have passed\n", d.Title, strings.Join(d.Gates, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// need is a stage that another one needs, and for what: the inputs of a stack,
// such as layer/000 and layer/001, are one.
type need struct {
	stage string
	roles []string
}

// needs returns what a stage needs, each stage once.
func needs(s Stage) []need {
	var list []need
	for _, in := range s.Inputs {
		role, _, _ := strings.Cut(in.Role, "/")
		i := slices.IndexFunc(list, func(n need) bool { return n.stage == in.Stage })
		if i < 0 {
			i = len(list)
			list = append(list, need{stage: in.Stage})
		}
		if !slices.Contains(list[i].roles, role) {
			list[i].roles = append(list[i].roles, role)
		}
	}
	return list
}

type treeWriter struct {
	plan  *Plan
	out   *strings.Builder
	drawn map[string]bool
}

// node draws a stage: lead stands before its own line, indent before those
// below it.
func (t *treeWriter) node(n need, lead, indent string) {
	s, _ := t.plan.Stage(n.stage)
	label := n.stage
	if roles := strings.Join(n.roles, ", "); roles != "" && roles != n.stage {
		label = roles + ": " + n.stage
	}
	below := needs(s)
	again := t.drawn[n.stage] && len(below) > 0
	t.drawn[n.stage] = true
	fmt.Fprintf(t.out, "%s%s  %s", lead, label, short(t.plan.Key(n.stage)))
	if s.Title != "" {
		fmt.Fprintf(t.out, "  %s", s.Title)
	}
	if again {
		t.out.WriteString("  (see above)\n")
		return
	}
	t.out.WriteByte('\n')
	for i, next := range below {
		branch, bar := "├─ ", "│  "
		if i == len(below)-1 {
			branch, bar = "└─ ", "   "
		}
		t.node(next, indent+branch, indent+bar)
	}
}

// WriteDOT writes the plan as Graphviz text: an arrow leads from each stage to
// those that need it, labelled with the roles. The gates of the delivery have
// dashed arrows.
func (p *Plan) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph plan {\n\trankdir=LR\n\tnode [shape=box]\n")
	for _, s := range p.stages {
		fmt.Fprintf(&b, "\t%q [label=%q]\n", s.Name, s.Name+"\n"+s.Kind+" "+short(p.keys[s.Name]))
	}
	for _, s := range p.stages {
		for _, n := range needs(s) {
			fmt.Fprintf(&b, "\t%q -> %q [label=%q]\n", n.stage, s.Name, strings.Join(n.roles, ", "))
		}
	}
	if d := p.delivery; len(d.Gates) > 0 {
		fmt.Fprintf(&b, "\tdelivery [shape=folder, label=%q]\n", d.Title)
		for _, name := range d.From {
			fmt.Fprintf(&b, "\t%q -> delivery\n", name)
		}
		for _, name := range d.Gates {
			fmt.Fprintf(&b, "\t%q -> delivery [style=dashed, label=gate]\n", name)
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// MarshalJSON gives the targets, the stages in order with their keys, and the
// delivery.
func (p *Plan) MarshalJSON() ([]byte, error) {
	type keyed struct {
		Stage
		Key digest.Digest `json:"key"`
	}
	stages := make([]keyed, 0, len(p.stages))
	for _, s := range p.stages {
		stages = append(stages, keyed{s, p.keys[s.Name]})
	}
	return json.Marshal(struct {
		Targets  []string `json:"targets"`
		Stages   []keyed  `json:"stages"`
		Delivery Delivery `json:"delivery,omitzero"`
	}{p.targets, stages, p.delivery})
}

// short is enough of a digest for people to tell two apart.
func short(d digest.Digest) string {
	if d.Validate() != nil {
		return string(d)
	}
	return d.Encoded()[:12]
}
