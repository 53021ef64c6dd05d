package convert

import (
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// about is what a machine tells people and asks them, for a package that tells
// it again. What it cannot say there is noted.
func (r *Result) about(m ovf.Machine, name string) output.About {
	a := output.About{Licenses: m.Agreements}
	if m.Product != name {
		a.Product = m.Product
	}
	for _, n := range m.Adapters {
		model := n.Model
		switch {
		case n.Network == "":
			model = strings.TrimSpace(model + " on no network")
		case slices.ContainsFunc(a.Networks, func(o output.NamedNetwork) bool { return o.Name == n.Network }):
			model = strings.TrimSpace(model + " on " + n.Network + " as well")
		default:
			a.Networks = append(a.Networks, output.NamedNetwork{Name: n.Network})
		}
		r.lose("network card", model)
	}
	for _, p := range m.Properties {
		// The specification leaves the two characters to whole keys, of products
		// that have a class (DSP0243 section 9.5.1): the new package's has none.
		if strings.ContainsAny(p.Key, ".:") || slices.ContainsFunc(a.Properties, func(o output.Property) bool { return o.Key == p.Key }) {
			r.lose("property", p.Key)
			continue
		}
		a.Properties = append(a.Properties, output.Property{
			Key: p.Key, Type: p.Type, Value: p.Value, Label: p.Label, Description: p.Description, Qualifiers: p.Qualifiers,
			Fixed: !p.Settable, Password: p.Password,
		})
	}
	return a
}
