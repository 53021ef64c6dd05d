package recipes

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares got with a file, or writes it when the tests are run with
// -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not current; run go test -update and look at the change (-file +now):\n%s", path, diff)
	}
}

func TestSchemaIsCurrent(t *testing.T) {
	golden(t, "imgbuild.schema.json", generateSchema(t))
}

// compiledSchema compiles the checked-in schema, which also checks it against
// its meta-schema.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("recipe.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("recipe.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON is what an editor sees of a recipe: YAML as plain values.
func asJSON(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &problems{}
	root := parseYAML(newSource(path, ".", data), data, p)
	if root == nil || len(p.list) > 0 {
		return nil
	}
	return root.plain()
}

func TestSchemaAcceptsGoodRecipes(t *testing.T) {
	s := compiledSchema(t)
	for _, path := range goodRecipes(t) {
		if err := s.Validate(asJSON(t, path)); err != nil {
			t.Errorf("%s: the schema rejects what Parse accepts: %v", path, err)
		}
	}
}

// A bad recipe that says "beyond the schema" has mistakes that no schema can
// see: between keys, or between a recipe and its variables.
func TestSchemaRejectsBadRecipes(t *testing.T) {
	s := compiledSchema(t)
	for _, path := range badRecipes(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v := asJSON(t, path)
		if v == nil {
			continue // not YAML, which editors report by themselves
		}
		beyond := bytes.Contains(data, []byte("# beyond the schema"))
		if err := s.Validate(v); (err == nil) != beyond {
			t.Errorf("%s: schema says %v, the file says beyond the schema: %v", filepath.Base(path), err, beyond)
		}
	}
}
