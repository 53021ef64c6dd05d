package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/ovf/environment"
)

// answers makes the CD that an OVF importer would give a guest, of the
// --property flags; nil when there are none.
func answers(flags []string, s subject) ([]byte, error) {
	if len(flags) == 0 {
		return nil, nil
	}
	var list []environment.Property
	for _, f := range flags {
		key, value, ok := strings.Cut(f, "=")
		var err error
		hint := "--property greeting=hello answers the property greeting"
		switch {
		case !ok || key == "":
			err = errors.New("--property: a key and its value are needed") // which may be a password
		case slices.ContainsFunc(list, func(p environment.Property) bool { return p.Key == key }):
			err = fmt.Errorf("--property %s is given twice", key)
		case s.asks && !slices.Contains(s.properties, key):
			err, hint = fmt.Errorf("--property %s: the recipe does not ask for it", key), "it asks for: "+strings.Join(s.properties, ", ")
			if len(s.properties) == 0 {
				hint = "list it in ovf.properties"
			}
		}
		if err != nil {
			return nil, fault.New(fault.Usage, err, hint)
		}
		list = append(list, environment.Property{Key: key, Value: value})
	}
	document, err := environment.Document(list)
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("--property: %w", err))
	}
	var cd bytes.Buffer
	err = environment.WriteCD(&cd, document)
	return cd.Bytes(), err
}
