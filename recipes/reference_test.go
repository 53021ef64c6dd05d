package recipes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const generatedMark = "<!-- What follows is generated from the types in recipes; run go generate ./recipes. -->\n"

// TestReferenceIsCurrent compares the part of docs/recipe.md behind the mark
// with what the types say.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "docs", "recipe.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := bytes.Cut(data, []byte(generatedMark))
	if !ok {
		t.Fatalf("%s lacks the line %q", path, generatedMark)
	}
	golden(t, path, []byte(string(head)+generatedMark+reference(t)))
}

// reference draws the tables of all keys.
func reference(t *testing.T) string {
	var schema struct {
		Defs map[string]struct {
			Description string
			Properties  map[string]struct{ Description string }
			AnyOf       []struct {
				Properties map[string]struct{ Description string }
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(generateSchema(t), &schema); err != nil {
		t.Fatal(err)
	}
	runtime := schema.Defs["Runtime"]
	runtime.Properties = runtime.AnyOf[1].Properties
	schema.Defs["Runtime"] = runtime
	defaults := map[string]string{}
	collectDefaults(t, defaults)
	var b strings.Builder
	var section func(of reflect.Type, path string)
	section = func(of reflect.Type, path string) {
		title, level := "Keys of the recipe", "##"
		if path != "" {
			title, level = "`"+path+"`", "###"
		}
		fmt.Fprintf(&b, "\n%s %s\n\n", level, title)
		if path != "" {
			fmt.Fprintf(&b, "%s\n\n", prose(schema.Defs[of.Name()].Description, of.Name(), path))
		}
		b.WriteString("| key | value | meaning |\n|---|---|---|\n")
		for _, f := range fieldsOf(of) {
			goField := of.Field(f.index)
			text := oneLine(schema.Defs[of.Name()].Properties[f.name].Description)
			if text == "" {
				text = oneLine(schema.Defs[structName(goField.Type)].Description)
			}
			if rest, ok := strings.CutPrefix(text, goField.Name+" "); ok {
				text = "`" + f.name + "` " + rest
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, valueText(goField, f, defaults[join(path, f.name)]), strings.ReplaceAll(text, "|", `\|`))
		}
		for _, f := range fieldsOf(of) {
			below := structType(of.Field(f.index).Type)
			if below == nil || mapScalar(below) != nil {
				continue
			}
			name := join(path, f.name)
			if of.Field(f.index).Type.Kind() == reflect.Slice {
				name += "[]"
			}
			section(below, name)
		}
	}
	section(reflect.TypeFor[Recipe](), "")
	return b.String()
}

func structName(t reflect.Type) string {
	if s := structType(t); s != nil {
		return s.Name()
	}
	return ""
}

// prose joins the lines of a type's comment, and names the key in place of the
// type.
func prose(text, name, path string) string {
	if rest, ok := strings.CutPrefix(text, name+" "); ok {
		text = "`" + path + "` " + rest
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = oneLine(p)
	}
	return strings.Join(paragraphs, "\n\n")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// valueText says what a value looks like, and its default.
func valueText(f reflect.StructField, k field, def string) string {
	parts := []string{typeText(f.Type)}
	r := k.rule
	switch {
	case len(r.enum) > 0:
		parts[0] = "`" + strings.Join(r.enum, "`, `") + "`"
	case strings.Contains(f.Tag.Get("check"), "port"):
		parts[0] = strings.Replace(parts[0], "number", "port", 1)
	case r.place != "":
		words := map[string]string{"file": "path of a file", "dir": "path of a folder", "local": "path of a file or folder", "image": "image", "classpath": "path or glob"}
		parts[0] = strings.Replace(parts[0], "text", words[r.place], 1)
	case strings.Contains(f.Tag.Get("check"), "guest"):
		parts[0] = strings.Replace(parts[0], "text", "path in the guest", 1)
	}
	switch {
	case r.required:
		parts = append(parts, "**required**")
	case r.choice == choiceOne:
		parts = append(parts, "*one of these is required*")
	case r.choice == choiceMaybe:
		parts = append(parts, "*at most one of these*")
	}
	if def != "" {
		parts = append(parts, "default `"+def+"`")
	}
	return strings.Join(parts, "; ")
}

// typeText names a type for people.
func typeText(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Modules]():
		return "`auto`, or list of text"
	case reflect.TypeFor[Runtime]():
		return "`none`, or mapping"
	case reflect.TypeFor[Output]():
		return "format, or mapping of a format to its options"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeText(t.Elem())
	case reflect.Slice:
		return "list of " + strings.Replace(typeText(t.Elem()), "mapping", "mappings", 1)
	case reflect.Map:
		return "mapping of names to text"
	case reflect.Struct:
		return "mapping"
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "`true`, `false`"
	}
	return "text"
}

// collectDefaults fills a recipe that has every part, and notes each value by
// its path without the places in lists.
func collectDefaults(t *testing.T, defaults map[string]string) {
	r := &Recipe{Runtime: Runtime{JVM: &JVM{CDS: CDS{Train: Train{Exit: true}}}}, Disk: Disk{Data: &DataFS{}}}
	r.Test = []Check{{HTTP: &HTTPCheck{}}, {TCP: &TCPCheck{}}, {Console: &ConsoleCheck{}}, {Exit: &ExitCheck{}},
		{Listen: &ListenCheck{}}, {Boot: &BootCheck{}}}
	r.fill(func(string) bool { return false })
	r.Runtime.JVM.CDS = CDS{Mode: "app, if there is train, else default", Train: Train{Timeout: DefaultTimeout}}
	r.Test[3].Exit.Status = 0
	r.Test[5].Boot.Until = "listening, if the app has ports, else started"
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch x := v.Interface().(type) {
		case Modules:
			defaults[path] = modulesAuto
			return
		case Size, Duration:
			if !v.IsZero() {
				defaults[path] = fmt.Sprint(x)
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[Output]() {
				return
			}
			for _, f := range fieldsOf(v.Type()) {
				walk(v.Field(f.index), join(path, f.name))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), path+"[]")
			}
		case reflect.String, reflect.Int:
			if !v.IsZero() {
				defaults[path] = fmt.Sprint(v.Interface())
			}
		}
	}
	walk(reflect.ValueOf(*r), "")
	defaults["outputs"] = "[raw]"
}
