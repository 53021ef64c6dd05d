package builder

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Plan is an acyclic graph of stages, checked and ordered. It does not change.
type Plan struct {
	stages  []Stage // inputs before what needs them
	targets []string
	keys    map[string]digest.Digest
	index   map[string]int // into stages, by name

	delivery Delivery
}

// Delivery says what leaves a build: files for the user. They are written from
// what some targets made, and get their names when others, the gates, have
// passed. It is no stage: nothing of it is stored or has a key.
type Delivery struct {
	Title string   `json:"title"`
	From  []string `json:"from"`
	Gates []string `json:"gates"`
}

// NewPlan checks the stages and orders them: each after its inputs, otherwise
// as given. Only stages that a target needs, directly or not, are part of the
// plan; the others are checked too. The error lists all that is wrong.
func NewPlan(stages []Stage, targets []string) (*Plan, error) {
	byName, err := checkStages(stages, targets)
	if err != nil {
		return nil, err
	}
	order, err := sortStages(stages, byName)
	if err != nil {
		return nil, err
	}
	needed := closure(byName, targets)
	p := &Plan{
		targets: slices.Clone(targets),
		keys:    make(map[string]digest.Digest),
		index:   make(map[string]int),
	}
	for _, s := range order {
		if !needed[s.Name] {
			continue
		}
		if p.keys[s.Name], err = definitionKey(s, p.keys); err != nil {
			return nil, fmt.Errorf("stage %s: %w", s.Name, err)
		}
		p.index[s.Name] = len(p.stages)
		p.stages = append(p.stages, s)
	}
	return p, nil
}

// Stages returns the stages, inputs before what needs them. The slice belongs
// to the plan.
func (p *Plan) Stages() []Stage { return p.stages }

// Targets returns the names of the stages that the plan is for.
func (p *Plan) Targets() []string { return p.targets }

// Stage returns a stage by name.
func (p *Plan) Stage(name string) (Stage, bool) {
	i, ok := p.index[name]
	if !ok {
		return Stage{}, false
	}
	return p.stages[i], true
}

// Key returns the definition key of a stage of the plan, by the stage's name.
func (p *Plan) Key(name string) digest.Digest { return p.keys[name] }

// Deliver returns the plan with a delivery, all of whose stages must be targets.
func (p *Plan) Deliver(d Delivery) (*Plan, error) {
	for _, name := range slices.Concat(d.From, d.Gates) {
		if !slices.Contains(p.targets, name) {
			return nil, fmt.Errorf("what is delivered needs stage %q, which is no target", name)
		}
	}
	delivers := *p
	delivers.delivery = d
	return &delivers, nil
}

// Delivery returns what leaves the build; the zero value when nothing does.
func (p *Plan) Delivery() Delivery { return p.delivery }

// checkStages checks what can be said without an order.
func checkStages(stages []Stage, targets []string) (map[string]Stage, error) {
	var errs []error
	byName := make(map[string]Stage, len(stages))
	for i, s := range stages {
		switch _, twice := byName[s.Name]; {
		case s.Name == "":
			errs = append(errs, fmt.Errorf("stage %d (%s): it has no name", i, s.Kind))
		case twice:
			errs = append(errs, fmt.Errorf("stage %s: the name is used twice", s.Name))
		}
		byName[s.Name] = s
	}
	for _, s := range stages {
		roles := make(map[string]bool)
		for _, in := range s.Inputs {
			if _, ok := byName[in.Stage]; !ok {
				errs = append(errs, fmt.Errorf("stage %s: input %s is of stage %q, which does not exist", s.Name, in.Role, in.Stage))
			}
			if roles[in.Role] {
				errs = append(errs, fmt.Errorf("stage %s: two inputs have the role %q", s.Name, in.Role))
			}
			roles[in.Role] = true
		}
	}
	for _, t := range targets {
		if _, ok := byName[t]; !ok {
			errs = append(errs, fmt.Errorf("target %q: there is no such stage", t))
		}
	}
	return byName, errors.Join(errs...)
}

// sortStages orders stages by depth-first search, so that equal lists give
// equal orders.
func sortStages(stages []Stage, byName map[string]Stage) ([]Stage, error) {
	var (
		order []Stage
		path  []string // the stages being visited, outermost first
		done  = make(map[string]bool)
		visit func(name string) error
	)
	visit = func(name string) error {
		if done[name] {
			return nil
		}
		if i := slices.Index(path, name); i >= 0 {
			return fmt.Errorf("the stages form a cycle: %s", strings.Join(append(path[i:], name), " → "))
		}
		path = append(path, name)
		for _, in := range byName[name].Inputs {
			if err := visit(in.Stage); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		order = append(order, byName[name])
		return nil
	}
	for _, s := range stages {
		if err := visit(s.Name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// closure returns the names of the targets and of all that they need.
func closure(byName map[string]Stage, targets []string) map[string]bool {
	needed := make(map[string]bool)
	todo := slices.Clone(targets)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if needed[name] {
			continue
		}
		needed[name] = true
		for _, in := range byName[name].Inputs {
			todo = append(todo, in.Stage)
		}
	}
	return needed
}
