package ovf

import (
	"encoding/xml"

	"github.com/imgbuild/imgbuild/output"
)

// productSection says what the appliance is and what it asks (DSP0243 section
// 9.5). Entries are categories and properties, in turns.
type productSection struct {
	Info        string  `xml:"Info"`
	Product     message `xml:"Product"`
	Vendor      string  `xml:"Vendor,omitempty"`
	Version     string  `xml:"Version,omitempty"`
	FullVersion string  `xml:"FullVersion,omitempty"`
	ProductURL  string  `xml:"ProductUrl,omitempty"`
	VendorURL   string  `xml:"VendorUrl,omitempty"`
	AppURL      string  `xml:"AppUrl,omitempty"`
	Entries     []any
}

type category struct {
	XMLName xml.Name `xml:"Category"`
	message
}

type property struct {
	XMLName     xml.Name `xml:"Property"`
	Key         string   `xml:"ovf:key,attr"`
	Type        string   `xml:"ovf:type,attr"`
	Qualifiers  string   `xml:"ovf:qualifiers,attr,omitempty"`
	Settable    bool     `xml:"ovf:userConfigurable,attr"`
	Value       string   `xml:"ovf:value,attr"`
	Password    bool     `xml:"ovf:password,attr,omitempty"`
	Label       *message `xml:"Label"`
	Description *message `xml:"Description"`
}

// product is the section of the whole appliance. It has neither class nor
// instance, so the guest finds its properties by their bare keys.
func (d *descriptor) product() productSection {
	a := d.About
	s := productSection{
		Info: "The product", Product: d.message("product", d.productName()),
		Vendor: d.Vendor, Version: d.Version, FullVersion: d.Version,
		ProductURL: a.ProductURL, VendorURL: a.VendorURL, AppURL: a.AppURL,
	}
	heading := ""
	for _, p := range a.Properties {
		if p.Category != heading {
			heading = p.Category
			s.Entries = append(s.Entries, category{message: d.message("categories."+heading, heading)})
		}
		s.Entries = append(s.Entries, d.property(p))
	}
	return s
}

func (d *descriptor) productName() string {
	if d.About.Product != "" {
		return d.About.Product
	}
	return d.Name
}

func (d *descriptor) property(p output.Property) property {
	e := property{
		Key: p.Key, Type: p.Type, Qualifiers: p.Qualifiers,
		Settable: !p.Fixed, Value: p.Value, Password: p.Password,
	}
	if p.Label != "" {
		label := d.message("properties."+p.Key+".label", p.Label)
		e.Label = &label
	}
	if p.Description != "" {
		text := d.message("properties."+p.Key+".description", p.Description)
		e.Description = &text
	}
	return e
}

// licenses are what has to be agreed to (DSP0243 section 9.6).
func (d *descriptor) licenses() []eulaSection {
	var sections []eulaSection
	for i, text := range d.About.Licenses {
		sections = append(sections, eulaSection{Info: "The license agreement", License: d.message(licenseID(i), text)})
	}
	return sections
}
