package local

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
)

// identity is what is remembered of a stage to say next time what changed.
type identity struct {
	Key     digest.Digest                 `json:"key"` // the definition key
	Kind    string                        `json:"kind"`
	Version int                           `json:"version"`
	Params  digest.Digest                 `json:"params"`
	Tools   map[string]string             `json:"tools,omitempty"`
	Makers  map[string]string             `json:"makers,omitempty"` // by role: key and output
	Inputs  map[string]ocispec.Descriptor `json:"inputs,omitempty"` // by role; what they really were
}

func (r *run) describe(s builder.Stage) identity {
	makers := make(map[string]string)
	for _, in := range s.Inputs {
		makers[in.Role] = string(r.plan.Key(in.Stage)) + " " + in.Output
	}
	return identity{
		Key: r.plan.Key(s.Name), Kind: s.Kind, Version: s.Version,
		Params: digest.FromBytes(s.Params), Tools: s.Tools, Makers: makers,
	}
}

func (r *run) historyName(s builder.Stage) string { return r.opts.Scope + "\x00" + s.Name }

// remember keeps the identity of a stage that is made. When its inputs were
// not looked at, those of the last time stay.
func (r *run) remember(s builder.Stage, now identity) error {
	if now.Inputs == nil && len(now.Makers) > 0 {
		var last identity
		found, err := r.store.History(r.historyName(s), &last)
		if err != nil {
			return err
		}
		if found && last.Key == now.Key {
			return nil
		}
	}
	return r.store.Remember(r.historyName(s), now)
}

// reason says why a stage has no result under its definition key. gone are
// outputs that are recorded, but lost.
func (r *run) reason(s builder.Stage, now identity, gone builder.Outputs) string {
	switch {
	case r.opts.Verify:
		return "to verify that it is deterministic"
	case r.opts.Fresh:
		return "results are not reused in this run"
	case gone != nil:
		return "blob missing: its outputs are no longer in the cache"
	}
	var last identity
	if found, err := r.store.History(r.historyName(s), &last); err != nil || !found {
		return "never built"
	}
	if changes := compare(last, now); len(changes) > 0 {
		return strings.Join(changes, "; ")
	}
	return ""
}

// compare lists what differs between two identities, leaving out inputs.
func compare(last, now identity) []string {
	if last.Kind != now.Kind {
		return []string{fmt.Sprintf("kind changed from %s to %s", last.Kind, now.Kind)}
	}
	var changes []string
	if last.Version != now.Version {
		changes = append(changes, fmt.Sprintf("runner version changed from %d to %d", last.Version, now.Version))
	}
	if last.Params != now.Params {
		changes = append(changes, "parameters changed")
	}
	for _, tool := range union(last.Tools, now.Tools) {
		was, before := last.Tools[tool]
		is, after := now.Tools[tool]
		switch {
		case !before:
			changes = append(changes, fmt.Sprintf("tool %s %s is new", tool, is))
		case !after:
			changes = append(changes, fmt.Sprintf("tool %s is no longer used", tool))
		case was != is:
			changes = append(changes, fmt.Sprintf("tool %s changed from %s to %s", tool, was, is))
		}
	}
	for _, role := range union(last.Makers, now.Makers) {
		_, before := last.Makers[role]
		_, after := now.Makers[role]
		switch {
		case !before:
			changes = append(changes, fmt.Sprintf("input %s is new", role))
		case !after:
			changes = append(changes, fmt.Sprintf("input %s is gone", role))
		}
	}
	return changes
}

// changedInputs adds to a reason which inputs are not what they were.
func (r *run) changedInputs(s builder.Stage, now identity, reason string) string {
	var last identity
	found, err := r.store.History(r.historyName(s), &last)
	if err == nil && found && !r.opts.Fresh && !r.opts.Verify {
		var roles []string
		for _, role := range slices.Sorted(maps.Keys(now.Inputs)) {
			was, known := last.Inputs[role]
			changed := was.Digest != now.Inputs[role].Digest
			if !known {
				// It was reused last time, and its inputs not looked at.
				maker, existed := last.Makers[role]
				changed = existed && maker != now.Makers[role]
			}
			if changed {
				roles = append(roles, role)
			}
		}
		if len(roles) > 0 {
			changed := "inputs changed: " + strings.Join(roles, ", ")
			if reason == "" {
				return changed
			}
			return reason + "; " + changed
		}
	}
	if reason == "" {
		return "its result is no longer in the cache"
	}
	return reason
}

// union returns the keys of both maps, in order.
func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
