// Package ovfenv reads the OVF environment of a guest: what whoever installed
// the appliance has answered to the properties of its OVF package.
//
// The transport "iso" hands it over on a CD, which has the document ovf-env.xml
// at its root (DSP0243 1.1, section 11.2); [ReadCD] finds it on a device. The
// document (DSP0243 section 11.1, DSP8027) has a section of properties for the
// guest itself, and one for each of its siblings; [Parse] returns the guest's
// own.
//
// Both read foreign bytes in the one process that must not fail: sizes and
// numbers are bounded, and no error has a value in it, for values may be
// passwords and errors are printed on the console.
//
// The package is compiled into the guest: it imports only what is small.
package ovfenv

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Namespace is that of the document's elements and attributes.
const Namespace = "http://schemas.dmtf.org/ovf/environment/1"

// The bounds of a document. A value has to fit into one string of an
// environment, which Linux bounds at 128 KiB (execve(2)).
const (
	maxDepth      = 32
	maxProperties = 1000
	maxValue      = 64 << 10 // bytes
)

// The elements on the way to a property of the guest itself.
var wayToProperty = []string{"Environment", "PropertySection", "Property"}

// Parse returns the properties of the guest by their keys; of a key given twice
// the first. The properties of siblings, in Entity elements, are left out.
func Parse(doc []byte) (map[string]string, error) {
	values := make(map[string]string)
	d := xml.NewDecoder(bytes.NewReader(doc))
	// depth is the number of open elements, and known how many of them, from
	// the outermost on, are those on the way.
	depth, known, whole := 0, 0, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, _ := d.InputPos()
			return nil, fmt.Errorf("reading the OVF environment: line %d is not XML in UTF-8", line)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == known && known < len(wayToProperty) && t.Name == (xml.Name{Space: Namespace, Local: wayToProperty[known]}) {
				known++
			}
			if depth++; depth > maxDepth {
				return nil, fmt.Errorf("reading the OVF environment: elements are nested more than %d deep", maxDepth)
			}
			whole = whole || known == 1
			if depth == known && known == len(wayToProperty) {
				if err := add(values, t.Attr); err != nil {
					return nil, err
				}
			}
		case xml.EndElement:
			depth--
			known = min(known, depth)
		}
	}
	if !whole {
		return nil, errors.New("reading the OVF environment: the document is none of OVF 1")
	}
	return values, nil
}

// add takes the key and the value of a property. Some writers leave out the
// prefix of the attributes.
func add(values map[string]string, attributes []xml.Attr) error {
	var key, value string
	for _, a := range attributes {
		if a.Name.Space != Namespace && a.Name.Space != "" {
			continue
		}
		switch a.Name.Local {
		case "key":
			key = a.Value
		case "value":
			value = a.Value
		}
	}
	if _, twice := values[key]; twice {
		return nil
	}
	if len(values) == maxProperties {
		return fmt.Errorf("reading the OVF environment: there are more than %d properties", maxProperties)
	}
	if len(key) > maxValue || len(value) > maxValue {
		return fmt.Errorf("reading the OVF environment: a property has more than %d bytes", maxValue)
	}
	values[key] = value
	return nil
}
