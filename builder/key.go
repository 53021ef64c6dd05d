package builder

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The schemes keep the two kinds of keys apart. They are raised when the way
// keys are computed changes, which forgets every result.
const (
	definitionScheme = "imgbuild/definition/1"
	contentScheme    = "imgbuild/content/1"
)

// identity is what a key is the digest of, as canonical JSON: struct fields in
// this order, maps by key, no spaces.
type identity struct {
	Scheme  string            `json:"scheme"`
	Kind    string            `json:"kind"`
	Version int               `json:"version"`
	Params  any               `json:"params"`
	Tools   map[string]string `json:"tools"`
	Inputs  []boundInput      `json:"inputs"` // by role
}

// boundInput is an input by its maker's key, or by what it really is.
type boundInput struct {
	Role    string              `json:"role"`
	Key     digest.Digest       `json:"key,omitempty"`
	Output  string              `json:"output,omitempty"`
	Content *ocispec.Descriptor `json:"content,omitempty"`
}

// definitionKey is the key by which a stage is known before its inputs are
// made. keys holds the keys of its inputs' makers, by stage name.
func definitionKey(s Stage, keys map[string]digest.Digest) (digest.Digest, error) {
	inputs := make([]boundInput, 0, len(s.Inputs))
	for _, in := range s.Inputs {
		inputs = append(inputs, boundInput{Role: in.Role, Key: keys[in.Stage], Output: in.Output})
	}
	return keyOf(definitionScheme, s, inputs)
}

// ContentKey is the second key of a stage: its identity and what its inputs,
// by role, really are.
func ContentKey(s Stage, inputs map[string]ocispec.Descriptor) (digest.Digest, error) {
	bound := make([]boundInput, 0, len(inputs))
	for role, desc := range inputs {
		bound = append(bound, boundInput{Role: role, Content: &desc})
	}
	return keyOf(contentScheme, s, bound)
}

func keyOf(scheme string, s Stage, inputs []boundInput) (digest.Digest, error) {
	params, err := canonicalParams(s.Params)
	if err != nil {
		return "", err
	}
	slices.SortFunc(inputs, func(a, b boundInput) int { return cmp.Compare(a.Role, b.Role) })
	id := identity{
		Scheme: scheme, Kind: s.Kind, Version: s.Version,
		Params: params, Tools: s.Tools, Inputs: inputs,
	}
	if len(id.Tools) == 0 {
		id.Tools = nil
	}
	b, err := json.Marshal(id)
	if err != nil {
		return "", fmt.Errorf("encoding the key: %w", err)
	}
	return digest.FromBytes(b), nil
}

// canonicalParams decodes parameters so that spaces and the order of members
// do not matter. Numbers keep their spelling.
func canonicalParams(params json.RawMessage) (any, error) {
	if len(params) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(params))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading the parameters: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("reading the parameters: something follows the JSON value")
	}
	return v, nil
}
