// Package environment writes what a hypervisor gives a guest that was installed
// from an OVF package: the environment document, with the properties' values
// (DSP0243 1.1, section 11.1), and the CD that the transport "iso" brings it on
// (section 11.2).
//
// With it a machine here is what a machine of VMware or VirtualBox will be. The
// reader at the other end is kernel/init/ovfenv.
package environment

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"unicode/utf8"

	"github.com/imgbuild/imgbuild/kernel/init/ovfenv"
)

// Property is a key of the package, with its value.
type Property struct {
	Key, Value string
}

// The document, with prefixes as encoding/xml writes them when they are part of
// the names.
type document struct {
	XMLName    xml.Name  `xml:"Environment"`
	Namespace  string    `xml:"xmlns,attr"`
	Prefix     string    `xml:"xmlns:oe,attr"`
	ID         string    `xml:"oe:id,attr"`
	Platform   platform  `xml:"PlatformSection"`
	Properties []element `xml:"PropertySection>Property"`
}

type platform struct {
	Kind    string
	Version string
	Vendor  string
	Locale  string
}

type element struct {
	Key   string `xml:"oe:key,attr"`
	Value string `xml:"oe:value,attr"`
}

// Document returns the environment document of a guest. A value that XML cannot
// hold is an error.
func Document(properties []Property) ([]byte, error) {
	d := document{
		Namespace: ovfenv.Namespace, Prefix: ovfenv.Namespace,
		Platform: platform{Kind: "QEMU", Version: "1", Vendor: "imgbuild", Locale: "en"},
	}
	for _, p := range properties {
		if !writable(p.Key) || !writable(p.Value) {
			return nil, fmt.Errorf("writing property %q: XML cannot hold its value", p.Key)
		}
		d.Properties = append(d.Properties, element(p))
	}
	text, err := xml.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the OVF environment: %w", err)
	}
	text = append([]byte(xml.Header), append(text, '\n')...)
	if len(text) > ovfenv.MaxDocument {
		return nil, fmt.Errorf("writing the OVF environment: it has %d bytes, more than %d", len(text), ovfenv.MaxDocument)
	}
	return text, nil
}

// writable reports whether text has only characters of XML 1.0 (section 2.2),
// for encoding/xml writes others as U+FFFD.
func writable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return !bytes.ContainsFunc([]byte(text), func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff
	})
}
