package builder

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
)

// WriteTree writes the plan for people: each target with its inputs below it.
// What a stage needs is drawn where it appears first.
func (p *Plan) WriteTree(w io.Writer) error {
	var b strings.Builder
	t := treeWriter{plan: p, out: &b, drawn: make(map[string]bool)}
	for _, name := range p.targets {
		t.node(name, "", "", "")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type treeWriter struct {
	plan  *Plan
	out   *strings.Builder
	drawn map[string]bool
}

// node draws a stage: lead stands before its own line, indent before those
// below it.
func (t *treeWriter) node(name, role, lead, indent string) {
	s, _ := t.plan.Stage(name)
	label := name
	if role != "" && role != name {
		label = role + ": " + name
	}
	again := t.drawn[name] && len(s.Inputs) > 0
	t.drawn[name] = true
	fmt.Fprintf(t.out, "%s%s  %s", lead, label, short(t.plan.Key(name)))
	if s.Title != "" {
		fmt.Fprintf(t.out, "  %s", s.Title)
	}
	if again {
		t.out.WriteString("  (see above)\n")
		return
	}
	t.out.WriteByte('\n')
	for i, in := range s.Inputs {
		branch, below := "├─ ", "│  "
		if i == len(s.Inputs)-1 {
			branch, below = "└─ ", "   "
		}
		t.node(in.Stage, in.Role, indent+branch, indent+below)
	}
}

// WriteDOT writes the plan as Graphviz text: an arrow leads from each stage to
// those that need it, labelled with the role.
func (p *Plan) WriteDOT(w io.Writer) error {
	var b strings.Builder
	b.WriteString("digraph plan {\n\trankdir=LR\n\tnode [shape=box]\n")
	for _, s := range p.stages {
		fmt.Fprintf(&b, "\t%q [label=%q]\n", s.Name, s.Name+"\n"+s.Kind+" "+short(p.keys[s.Name]))
	}
	for _, s := range p.stages {
		for _, in := range s.Inputs {
			fmt.Fprintf(&b, "\t%q -> %q [label=%q]\n", in.Stage, s.Name, in.Role)
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// MarshalJSON gives the targets, and the stages in order with their keys.
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
		Targets []string `json:"targets"`
		Stages  []keyed  `json:"stages"`
	}{p.targets, stages})
}

// short is enough of a digest for people to tell two apart.
func short(d digest.Digest) string {
	if d.Validate() != nil {
		return string(d)
	}
	return d.Encoded()[:12]
}
