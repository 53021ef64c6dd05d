package stages

import (
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
)

// maxLicense bounds a license agreement, in bytes: importers refuse
// descriptors of many megabytes.
const maxLicense = 1 << 20

// about is what the recipe has for people who install the appliance.
func (s *Session) about() (output.About, error) {
	r := s.Recipe.Recipe.OVF
	a := output.About{
		Product: r.Product, ProductURL: r.ProductURL, VendorURL: r.VendorURL, AppURL: r.AppURL, Annotation: r.Annotation,
	}
	var err error
	if a.Licenses, err = readLicenses(r.Licenses); err != nil {
		return a, err
	}
	for _, n := range r.Networks {
		a.Networks = append(a.Networks, output.NamedNetwork{Name: n.Name, Description: n.Description})
	}
	for _, p := range r.Properties {
		a.Properties = append(a.Properties, output.Property{
			Key: p.Key, Type: p.Type, Value: p.Value, Label: p.Label, Description: p.Description,
			Category: p.Category, Qualifiers: p.Qualifiers, Fixed: p.Fixed, Password: p.Password,
		})
	}
	for _, c := range r.Configurations {
		a.Configurations = append(a.Configurations, output.Configuration{
			ID: c.ID, Label: c.Label, Description: c.Description, CPUs: c.CPUs, Memory: int64(c.Memory),
		})
	}
	for _, t := range r.Translations {
		texts := output.Translation{Language: t.Language, Texts: t.Texts}
		if texts.Licenses, err = readLicenses(t.Licenses); err != nil {
			return a, err
		}
		a.Translations = append(a.Translations, texts)
	}
	return a, nil
}

// propertyKeys are the keys of the properties that are asked for.
func propertyKeys(o recipes.OVF) []string {
	var keys []string
	for _, p := range o.Properties {
		keys = append(keys, p.Key)
	}
	return keys
}

func readLicenses(paths []string) ([]string, error) {
	var texts []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.Size() > maxLicense {
			err = fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxLicense)
		}
		var text []byte
		if err == nil {
			text, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, fault.New(fault.Input, fmt.Errorf("reading a license: %w", err))
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}
