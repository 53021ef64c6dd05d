package recipes

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/invopop/jsonschema"
)

// The shared definitions of the schema.
const (
	schemaID     = "urn:imgbuild:recipe:v1"
	defText      = "text"
	defVariable  = "variable"
	varUse       = `\$\{`
	outputsBound = 1
)

// generateSchema makes the JSON Schema from the types, their tags and their
// comments.
func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{
		BaseSchemaID:               "",
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Anonymous:                  true,
		Mapper:                     mapScalar,
	}
	if err := r.AddGoComments("github.com/imgbuild/imgbuild/recipes", ".", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	s := r.ReflectFromType(reflect.TypeFor[Recipe]())
	s.ID = schemaID
	s.Title = "imgbuild recipe"
	adjusted := map[reflect.Type]bool{}
	adjust(t, s, reflect.TypeFor[Recipe](), adjusted)

	runtime := s.Definitions["Runtime"]
	s.Definitions["Runtime"] = &jsonschema.Schema{
		Description: runtime.Description,
		AnyOf:       []*jsonschema.Schema{{Const: runtimeNone}, runtime, ref(defVariable)},
	}
	runtime.Description = ""
	root := s.Definitions["Recipe"]
	root.AnyOf = []*jsonschema.Schema{{Required: []string{"include"}}, {Required: root.Required}}
	root.Required = nil
	s.Definitions[defVariable] = &jsonschema.Schema{Type: "string", Pattern: varUse, Description: "Text with a variable, which is checked once the variable is known."}
	s.Definitions[defText] = textSchema("")

	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// adjust gives the definitions of t, and of all structs below it, what the
// check tags say and what YAML allows beyond JSON.
func adjust(t *testing.T, s *jsonschema.Schema, of reflect.Type, done map[reflect.Type]bool) {
	of = structType(of)
	if of == nil || done[of] || mapScalar(of) != nil {
		return
	}
	done[of] = true
	def := s.Definitions[of.Name()]
	if def == nil || def.Properties == nil {
		t.Fatalf("no definition for %s", of)
	}
	def.PatternProperties = map[string]*jsonschema.Schema{"^x-": jsonschema.TrueSchema}
	var one, maybe []string
	for _, f := range fieldsOf(of) {
		property, ok := def.Properties.Get(f.name)
		if !ok {
			t.Fatalf("no property %s in %s", f.name, of)
		}
		def.Properties.Set(f.name, adjustProperty(property, of.Field(f.index)))
		switch f.rule.choice {
		case choiceOne:
			one = append(one, f.name)
		case choiceMaybe:
			maybe = append(maybe, f.name)
		}
		adjust(t, s, of.Field(f.index).Type, done)
	}
	for _, name := range one {
		def.OneOf = append(def.OneOf, &jsonschema.Schema{Required: []string{name}})
	}
	for i, a := range maybe {
		for _, b := range maybe[:i] {
			def.AllOf = append(def.AllOf, &jsonschema.Schema{Not: &jsonschema.Schema{Required: []string{b, a}}})
		}
	}
}

// adjustProperty rewrites the schema of one field.
func adjustProperty(p *jsonschema.Schema, f reflect.StructField) *jsonschema.Schema {
	r := ruleOf(f.Tag)
	switch f.Type.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
		if p.AnyOf != nil {
			return p
		}
		return describe(scalarSchema(p, f, r), p.Description)
	case reflect.Slice:
		if p.Items != nil && p.Items.Ref == "" && p.Items.AnyOf == nil {
			p.Items = scalarSchema(p.Items, f, r)
		}
	case reflect.Map:
		p.AdditionalProperties = ref(defText)
		p.PatternProperties = nil
		if f.Name == "Vars" {
			p.PropertyNames = &jsonschema.Schema{Pattern: varPattern}
		}
	}
	return p
}

// scalarSchema is a scalar's schema: plain numbers and booleans pass for
// text, and a variable passes for anything.
func scalarSchema(p *jsonschema.Schema, f reflect.StructField, r rule) *jsonschema.Schema {
	typed := *p
	typed.Description = ""
	switch {
	case p.Type == "integer":
		if slices.Contains(checksOf(f), "port") {
			typed.Minimum, typed.Maximum = json.Number(strconv.Itoa(r.min)), json.Number(strconv.Itoa(r.max))
		}
	case p.Type == "string" && len(typed.Enum) > 0:
		for _, v := range p.Enum {
			if n, ok := (&node{text: v.(string)}).value().(float64); ok {
				typed.Enum = append(typed.Enum, n)
				typed.Type = ""
			}
		}
	case p.Type == "string":
		if slices.Contains(checksOf(f), "guest") {
			typed.Pattern = "^/"
		}
		if typed.Pattern == "" {
			return ref(defText)
		}
		typed = *textSchema(typed.Pattern)
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{&typed, ref(defVariable)}}
}

// checksOf lists the words of a check tag.
func checksOf(f reflect.StructField) []string {
	var words []string
	for _, b := range bytes.Split([]byte(f.Tag.Get("check")), []byte(",")) {
		words = append(words, string(b))
	}
	return words
}

// mapScalar is the schema of the types that read themselves.
func mapScalar(t reflect.Type) *jsonschema.Schema {
	str := func(pattern string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: pattern} }
	either := func(list ...*jsonschema.Schema) *jsonschema.Schema { return &jsonschema.Schema{AnyOf: list} }
	switch t {
	case reflect.TypeFor[Size]():
		return either(&jsonschema.Schema{Type: "integer", Minimum: "0"}, str(sizePattern), ref(defVariable))
	case reflect.TypeFor[Duration]():
		return either(str(durationPattern), ref(defVariable))
	case reflect.TypeFor[Modules]():
		return either(&jsonschema.Schema{Const: modulesAuto}, &jsonschema.Schema{Type: "array", Items: ref(defText)}, ref(defVariable))
	case reflect.TypeFor[Output]():
		n := uint64(outputsBound)
		return either(str(formatPattern), &jsonschema.Schema{
			Type: "object", MinProperties: &n, MaxProperties: &n,
			PropertyNames:        str(formatPattern),
			AdditionalProperties: &jsonschema.Schema{Type: "object"},
		}, ref(defVariable))
	}
	return nil
}

// textSchema accepts a scalar that is taken as text.
func textSchema(pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{Pattern: pattern, Extras: map[string]any{"type": []string{"string", "number", "boolean"}}}
}

func ref(def string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + def} }

func describe(s *jsonschema.Schema, text string) *jsonschema.Schema {
	s.Description = text
	return s
}
