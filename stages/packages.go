package stages

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/recipes"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const kindPackages = "packages"

// packagesParams pin the packages of one group.
type packagesParams struct {
	Packages []recipes.LockedPackage `json:"packages"`
}

// packages adds the stage that fetches the locked packages of a group and
// returns them as inputs whose roles begin with the prefix, in the order of
// the lock.
func (s *set) packages(group, prefix string) []builder.Input {
	locked := s.Lock.Packages[group]
	name := "packages " + group
	if !s.has(name) {
		s.add(builder.Stage{
			Name:    name,
			Title:   fmt.Sprintf("fetch %d packages for %s", len(locked), group),
			Kind:    kindPackages,
			Version: 1,
		}, packagesParams{Packages: locked})
	}
	var inputs []builder.Input
	for i, p := range locked {
		inputs = append(inputs, builder.Input{
			Role:   fmt.Sprintf("%s/%03d", prefix, i),
			Stage:  name,
			Output: p.Name,
		})
	}
	return inputs
}

func (s *set) has(name string) bool {
	for _, st := range s.stages {
		if st.Name == name {
			return true
		}
	}
	return false
}

// layers returns the inputs whose role is the prefix or begins with "prefix/",
// in the order of their roles: a stack of layers, lowest first.
func layers(w *builder.Work, prefix string) []ocispec.Descriptor {
	var roles []string
	for role := range w.Inputs {
		if role == prefix || strings.HasPrefix(role, prefix+"/") {
			roles = append(roles, role)
		}
	}
	sort.Strings(roles)
	var out []ocispec.Descriptor
	for _, role := range roles {
		out = append(out, w.Inputs[role])
	}
	return out
}

// fetchPackages is the runner: apt downloads, the store verifies.
func (o Options) fetchPackages(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[packagesParams](w)
	if err != nil {
		return nil, err
	}
	got, err := o.Apt.Fetch(ctx, o.Store, p.Packages, w.Progress)
	if err != nil {
		return nil, err
	}
	out := builder.Outputs{}
	for i, pkg := range p.Packages {
		out[pkg.Name] = got[i]
	}
	return out, nil
}
