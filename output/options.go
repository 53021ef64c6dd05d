package output

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/imgbuild/imgbuild/fault"
)

// DecodeOptions reads the options of a format into v, strictly. No options at
// all leave v as it is.
func DecodeOptions(f Format, options json.RawMessage, v any) error {
	if len(options) == 0 || string(options) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(options))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fault.New(fault.Recipe, fmt.Errorf("options of output %s: %w", f.Name(), err))
	}
	return nil
}

// NoOptions refuses any option.
func NoOptions(f Format, options json.RawMessage) error {
	return DecodeOptions(f, options, &struct{}{})
}
