package stages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

const kindBudgets = "budgets"

// budgetParams bound what is on the disk, in bytes; 0 is unbounded.
type budgetParams struct {
	Root int64 `json:"root,omitempty"`
	Disk int64 `json:"disk,omitempty"`
}

// budgets adds the stage that compares sizes with the recipe's budgets, when it
// has any.
func (s *set) budgets(root, disk string) {
	b := s.Recipe.Recipe.Budgets
	p := budgetParams{Root: int64(b.RootSize), Disk: int64(b.DiskSize)}
	if p == (budgetParams{}) {
		return
	}
	s.targets = append(s.targets, s.add(builder.Stage{
		Name:    "budgets",
		Title:   "compare sizes with their budgets",
		Kind:    kindBudgets,
		Version: 1,
		Inputs: []builder.Input{
			{Role: "root", Stage: root, Output: "image"},
			{Role: "disk", Stage: disk, Output: "disk"},
		},
	}, p))
}

// compareBudgets is the runner.
func (o Options) compareBudgets(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[budgetParams](w)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	var errs []error
	for _, part := range []struct {
		role  string
		limit int64
	}{{"root", p.Root}, {"disk", p.Disk}} {
		r, closer, err := OpenDisk(ctx, w.Store, w.Inputs[part.role])
		if err != nil {
			return nil, err
		}
		sizes[part.role] = r.Size()
		if err := closer.Close(); err != nil {
			return nil, err
		}
		if size := sizes[part.role]; part.limit > 0 && size > part.limit {
			errs = append(errs, fmt.Errorf("budgets.%sSize: the %s has %d bytes, more than %d", part.role, part.role, size, part.limit))
		}
	}
	if len(errs) > 0 {
		return nil, fault.New(fault.Check, errors.Join(errs...), "`imgbuild inspect` tells what takes the room; or raise the budget")
	}
	text, err := json.Marshal(sizes)
	if err != nil {
		return nil, err
	}
	report, err := putBytes(ctx, w.Store, append(text, '\n'), mediaTypeJSON)
	return builder.Outputs{"report": report}, err
}

// checkMemory compares what the machine asks for with its budget. It needs no
// build.
func (o Options) checkMemory() error {
	r := o.Recipe.Recipe
	if limit := r.Budgets.GuestMemory; limit == 0 || r.Guest.Memory <= limit {
		return nil
	}
	return fault.New(fault.Check, fmt.Errorf("budgets.guestMemory: the machine asks for %s, more than %s", r.Guest.Memory, r.Budgets.GuestMemory),
		"lower guest.memory, which is 256MiB unless the recipe says otherwise")
}
