package stages

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/files"
)

// selectOutputs finds the writers that a recipe asks for and checks their
// options.
func selectOutputs(r *recipes.Resolved) ([]output.Selected, error) {
	var selected []output.Selected
	for i, o := range r.Recipe.Outputs {
		at := fmt.Sprintf("outputs[%d]", i)
		sel, err := formats.Select(o.Format, withPaths(r, at, o))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Origin(at), err)
		}
		selected = append(selected, sel)
	}
	return selected, nil
}

// withPaths returns the options of an output with its relative paths made to
// start at the folder of the file that they are written in; those from the
// command line start at the working directory.
func withPaths(r *recipes.Resolved, at string, o recipes.Output) map[string]any {
	options := maps.Clone(o.Options)
	for _, key := range formats.FileOptions(o.Format) {
		path, ok := options[key].(string)
		origin := r.Origin(at + "." + o.Format + "." + key)
		if ok && path != "" && !filepath.IsAbs(path) && origin.Line > 0 {
			options[key] = filepath.Join(filepath.Dir(origin.File), path)
		}
	}
	return options
}

// settings identify what the outputs are written with, beside the disk: also
// the content of the files that options name, and the parts that formats ask
// for.
func (s *Session) settings(results map[string]builder.Outputs) (string, error) {
	r := s.Recipe.Recipe
	digests := map[string]string{}
	for i, o := range r.Outputs {
		options := withPaths(s.Recipe, fmt.Sprintf("outputs[%d]", i), o)
		for _, key := range formats.FileOptions(o.Format) {
			path, ok := options[key].(string)
			if !ok || path == "" {
				continue
			}
			sum, _, err := files.Digest(path)
			if err != nil {
				return "", fault.New(fault.Input, fmt.Errorf("options of output %s: %s: %w", o.Format, key, err))
			}
			digests[o.Format+"."+key] = sum
		}
	}
	parts := map[output.Part]digest.Digest{}
	for part, in := range s.Build.Parts {
		parts[part] = results[in.Stage][in.Output].Digest
	}
	about, err := s.about()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Outputs     []recipes.Output              `json:"outputs"`
		Files       map[string]string             `json:"files,omitempty"`
		Parts       map[output.Part]digest.Digest `json:"parts,omitempty"`
		Description string                        `json:"description,omitempty"`
		Vendor      string                        `json:"vendor,omitempty"`
		About       output.About                  `json:"about,omitzero"`
		Limit       recipes.Size                  `json:"limit,omitempty"`
		Second      int64                         `json:"second,omitempty"`
	}{r.Outputs, digests, parts, r.Description, r.Vendor, about, r.Budgets.OutputSize, r.Disk.Data.OnSecond()})
	return string(text), err
}

// parts plans what the formats of the recipe ask for beside the disk. How each
// part is made is only asked when it is wanted.
func (s *set) parts(b *Build, make map[output.Part]func() builder.Input) {
	b.Parts = map[output.Part]builder.Input{}
	for _, o := range s.Recipe.Recipe.Outputs {
		for _, part := range formats.Parts(o.Format) {
			if _, ok := b.Parts[part]; !ok {
				b.Parts[part] = make[part]()
			}
		}
	}
}

// asksFor reports whether an output of the recipe asks for a part.
func asksFor(r *recipes.Recipe, part output.Part) bool {
	return slices.ContainsFunc(r.Outputs, func(o recipes.Output) bool { return slices.Contains(formats.Parts(o.Format), part) })
}
