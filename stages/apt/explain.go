package apt

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// explain finds out why packages cannot be resolved and says so better than
// apt does.
func (s *state) explain(ctx context.Context, names []string, out string, said complaints, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, name := range names {
		name, version, _ := strings.Cut(name, "=")
		mentioned := slices.ContainsFunc(said, func(line string) bool {
			return strings.HasSuffix(line, " "+name) || strings.Contains(line, "'"+name+"'")
		})
		if !mentioned {
			continue
		}
		if providers := virtual(out, name); len(providers) > 0 {
			return fault.New(fault.Input, fmt.Errorf("%s is a virtual package", name),
				"name one that provides it: "+strings.Join(providers, ", "))
		}
		return s.unknown(ctx, name, version)
	}
	if _, unmet, ok := strings.Cut(out, "unmet dependencies:\n"); ok {
		return fault.New(fault.Input, fmt.Errorf("the packages cannot be used together:\n%s", strings.TrimRight(unmet, "\n")))
	}
	return fmt.Errorf("resolving %s: %w", strings.Join(names, ", "), err)
}

// virtual reads the providers of a virtual package from what apt-get printed:
// a line for each, indented, behind a line that names the package.
func virtual(out, name string) []string {
	_, rest, ok := strings.Cut(out, "Package "+name+" is a virtual package provided by:\n")
	if !ok {
		return nil
	}
	var providers []string
	for line := range strings.Lines(rest) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(line, "  ") {
			break
		}
		providers = append(providers, f[0])
	}
	return providers
}

// unknown is the error for a package that the sources do not offer.
func (s *state) unknown(ctx context.Context, name, version string) error {
	known, err := s.names(ctx, "")
	if err != nil {
		return err
	}
	if version != "" && slices.Contains(known, name) {
		return fault.New(fault.Input, fmt.Errorf("version %s of package %s: %w by the package sources", version, name, errGone),
			"run `imgbuild lock` to take the version that is offered now")
	}
	hint := "`apt-cache search` finds packages; sources.apt.list names other sources"
	if near := nearest(name, known, 3); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	return fault.New(fault.Input, fmt.Errorf("the package sources offer no package %s", name), hint)
}

// names lists the packages on offer whose name begins with a prefix, sorted.
func (s *state) names(ctx context.Context, prefix string) ([]string, error) {
	out, _, err := s.run(ctx, s.dir, "apt-cache", "pkgnames", "--", prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the packages on offer: %w", err)
	}
	names := strings.Fields(string(out))
	sort.Strings(names)
	return slices.Compact(names), nil
}

// nearest returns up to n names that look like name, the nearest first.
func nearest(name string, known []string, n int) []string {
	type scored struct {
		name string
		far  int
	}
	limit := len(name)/4 + 1
	var near []scored
	for _, k := range known {
		if diff := len(k) - len(name); diff > limit || -diff > limit {
			continue
		}
		if d := distance(name, k); d <= limit {
			near = append(near, scored{k, d})
		}
	}
	sort.SliceStable(near, func(i, j int) bool { return near[i].far < near[j].far })
	var out []string
	for _, s := range near[:min(n, len(near))] {
		out = append(out, s.name)
	}
	return out
}

// distance is the number of letters to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
