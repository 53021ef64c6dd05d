package recipes

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The rules of a key stand in the tags of its field. The jsonschema tag has
// what JSON Schema can say: required, enum, pattern, minimum, maximum and
// minItems. The check tag has the rest:
//
//	one         exactly one of the struct's fields so marked is given
//	maybe       at most one of them is given
//	port        a port number
//	guest       an absolute path in the guest
//	ip, prefix  an IP address; one with the length of its prefix
//	regexp      a regular expression in Go's syntax
//	local       a path on this machine: a file or a folder
//	file, dir   the same, but only a file or only a folder
//	image       a reference to a container image
//	classpath   a jar, a folder or a glob; see [App.ClassPath]
//
// For a list, a rule holds for each item.
type rule struct {
	required bool
	enum     []string
	pattern  string
	min, max int
	minItems int
	choice   string
	check    func(text string) error
	place    string // local, file, dir, image or classpath
}

// The values of rule.choice.
const (
	choiceOne   = "one"
	choiceMaybe = "maybe"
)

// field is a key of a struct.
type field struct {
	name  string
	index int
	rule  rule
}

// fieldsOf lists the keys of a struct type in their order.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" {
			fields = append(fields, field{name: name, index: i, rule: ruleOf(f.Tag)})
		}
	}
	return fields
}

var unescapedComma = regexp.MustCompile(`((?:\\.|[^,\\])*)(?:,|$)`)

// ruleOf reads the rules in a field's tags.
func ruleOf(tag reflect.StructTag) rule {
	r := rule{min: math.MinInt32, max: math.MaxInt32}
	for _, m := range unescapedComma.FindAllStringSubmatch(tag.Get("jsonschema"), -1) {
		name, value, _ := strings.Cut(strings.ReplaceAll(m[1], `\,`, ","), "=")
		switch name {
		case "required":
			r.required = true
		case "enum":
			r.enum = append(r.enum, value)
		case "pattern":
			r.pattern = value
		case "minimum":
			r.min, _ = strconv.Atoi(value)
		case "maximum":
			r.max, _ = strconv.Atoi(value)
		case "minItems":
			r.minItems, _ = strconv.Atoi(value)
		}
	}
	for _, name := range strings.Split(tag.Get("check"), ",") {
		switch name {
		case choiceOne, choiceMaybe:
			r.choice = name
		case "port":
			r.min, r.max = 1, 65535
		case "guest":
			r.check = checkGuestPath
		case "regexp":
			r.check = checkRegexp
		case "ip":
			r.check = checkIP
		case "prefix":
			r.check = checkPrefix
		case "local", "file", "dir", "classpath":
			r.place, r.check = name, checkLocal
		case "image":
			r.place, r.check = name, checkImage
		}
	}
	return r
}

// structType is the struct that a type holds, behind a pointer or in a list;
// nil when it is not one.
func structType(t reflect.Type) reflect.Type {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// placeOf finds where in a recipe a key is allowed: "runtime" for "jvm". Of
// several places it is the one nearest to the root; it is empty when there is
// no such place, or more than one equally near.
func placeOf(name string) string {
	places := map[int][]string{} // by depth
	var walk func(t reflect.Type, path string, depth int)
	walk = func(t reflect.Type, path string, depth int) {
		if t = structType(t); t == nil {
			return
		}
		for _, f := range fieldsOf(t) {
			if f.name == name {
				places[depth] = append(places[depth], path)
			}
			walk(t.Field(f.index).Type, join(path, f.name), depth+1)
		}
	}
	walk(reflect.TypeFor[Recipe](), "", 0)
	depths := slices.Sorted(maps.Keys(places))
	if len(depths) == 0 || len(places[depths[0]]) > 1 {
		return ""
	}
	return places[depths[0]][0]
}

func checkGuestPath(text string) error {
	if !strings.HasPrefix(text, "/") {
		return fmt.Errorf("%q is not an absolute path; paths in the guest begin with /", text)
	}
	if clean := path.Clean(text); clean != text && clean+"/" != text {
		return fmt.Errorf("%q is not a clean path; write %q", text, clean)
	}
	return checkLocal(text)
}

func checkRegexp(text string) error {
	if _, err := regexp.Compile(text); err != nil {
		return fmt.Errorf("not a regular expression: %w", err)
	}
	return nil
}

func checkIP(text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return fmt.Errorf("%q is not an IP address", text)
	}
	return nil
}

func checkPrefix(text string) error {
	if _, err := netip.ParsePrefix(text); err != nil {
		return fmt.Errorf("%q is not an address with a prefix; write 10.0.0.5/24", text)
	}
	return nil
}

func checkLocal(text string) error {
	if text == "" {
		return errors.New("a path cannot be empty")
	}
	return nil
}

func checkImage(text string) error {
	name := text
	for _, prefix := range []string{ociPrefix, archivePrefix} {
		name = strings.TrimPrefix(name, prefix)
	}
	if name == "" || strings.ContainsAny(name, " \t\n") {
		return fmt.Errorf("%q is not a reference to an image; write name:tag, oci:FOLDER[:TAG] or archive:FILE", text)
	}
	return nil
}
