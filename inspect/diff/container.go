package diff

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/imgbuild/imgbuild/inspect"
)

// compareContainers compares how the disks are wrapped, and what is said of
// the machines.
func (c *comparison) compareContainers(ctx context.Context) error {
	r := c.report
	for i, side := range []*Side{&r.A, &r.B} {
		s := c.sources[i]
		size, _, err := s.Measure() // its room on disk is the medium's affair
		if err != nil {
			return about(s.Path, err)
		}
		*side = Side{Path: s.Path, Format: s.Format, Size: size}
	}
	r.Container = compare(r.Container, "format", r.A.Format, r.B.Format)
	r.Container = compare(r.Container, "size of the file", r.A.Size, r.B.Size)
	r.Container = compare(r.Container, "files beside the disk", words(c.sources[0].Beside), words(c.sources[1].Beside))
	descriptions, err := c.describe(ctx)
	if err != nil {
		return err
	}
	a, b := descriptions[0], descriptions[1]
	if (a == nil) != (b == nil) {
		r.Container = append(r.Container, Fact{"description", present(a), present(b)})
	}
	if a == nil || b == nil || !c.wants(Description) {
		return nil
	}
	r.Description = c.compareFlat(a, b)
	r.Same = r.Same && len(r.Description) == 0
	return nil
}

func words(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return fmt.Sprint(list)
}

func present(d map[string]string) string {
	if d == nil {
		return "none"
	}
	return "present"
}

// describe returns what each image says of its machines or container images,
// as one value for each path; nil for a disk alone.
func (c *comparison) describe(ctx context.Context) ([2]map[string]string, error) {
	var found [2]map[string]string
	err := both(ctx, func(ctx context.Context, i int) error {
		var v any
		switch s := c.sources[i]; {
		case s.Package != nil:
			v = s.Package.Description
		case s.Layout != nil:
			images, err := inspect.Images(ctx, s.Layout)
			if err != nil {
				return about(s.Path, err)
			}
			v = images
		default:
			return nil
		}
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("describing %s: %w", c.sources[i].Path, err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			return fmt.Errorf("describing %s: %w", c.sources[i].Path, err)
		}
		found[i] = map[string]string{}
		flatten(found[i], "", plain)
		return nil
	})
	return found, err
}

// flatten names each value in v by its path: "machines[0].cpus".
func flatten(into map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			name := key
			if path != "" {
				name = path + "." + key
			}
			flatten(into, name, value)
		}
	case []any:
		for i, value := range v {
			flatten(into, fmt.Sprintf("%s[%d]", path, i), value)
		}
	case nil:
	case float64:
		into[path] = fmt.Sprintf("%.0f", v) // descriptions have whole numbers
	default:
		into[path] = fmt.Sprint(v)
	}
}

// compareFlat compares two flattened values.
func (c *comparison) compareFlat(a, b map[string]string) []Fact {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var facts []Fact
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if facts = compare(facts, what, a[what], b[what]); len(facts) == c.Limit {
			break
		}
	}
	return facts
}
