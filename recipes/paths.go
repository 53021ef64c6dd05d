package recipes

import (
	"path/filepath"
	"reflect"
	"strings"
)

// Prefixes of references to images that are local.
const (
	ociPrefix     = "oci:"
	archivePrefix = "archive:"
)

// eachPath calls fn for every value of a recipe that is a path on this
// machine, with where it stands and what kind of path it is.
func eachPath(r *Recipe, fn func(at, place string, value *string)) {
	walkPaths(reflect.ValueOf(r).Elem(), "", "", fn)
}

func walkPaths(v reflect.Value, at, place string, fn func(at, place string, value *string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkPaths(v.Elem(), at, place, fn)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkPaths(v.Index(i), index(at, i), place, fn)
		}
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			walkPaths(v.Field(f.index), join(at, f.name), f.rule.place, fn)
		}
	case reflect.String:
		if place != "" && v.String() != "" {
			fn(at, place, v.Addr().Interface().(*string))
		}
	}
}

// localPart splits an image reference into what stands before, in and behind
// its path; the path is empty when a registry has the image. For any other
// place the whole value is the path.
func localPart(place, value string) (before, path, behind string) {
	if place != "image" {
		return "", value, ""
	}
	if rest, ok := strings.CutPrefix(value, archivePrefix); ok {
		return archivePrefix, rest, ""
	}
	if rest, ok := strings.CutPrefix(value, ociPrefix); ok {
		if i := strings.LastIndexByte(rest, ':'); i > 0 && !strings.Contains(rest[i:], "/") {
			return ociPrefix, rest[:i], rest[i:]
		}
		return ociPrefix, rest, ""
	}
	return "", "", ""
}

// absolute makes the paths of r absolute: each starts at the folder of the
// file that it was written in.
func (d *decoder) absolute(r *Recipe) {
	eachPath(r, func(at, place string, value *string) {
		before, path, behind := localPart(place, *value)
		if n := d.at[at]; path != "" && !filepath.IsAbs(path) && n != nil {
			*value = before + filepath.Join(n.at.file.dir, path) + behind
		}
	})
}

// relative makes those paths of r that were written as relative ones relative
// to dir, the recipe's folder, so that two checkouts agree.
func (d *decoder) relative(r *Recipe, dir string) {
	eachPath(r, func(at, place string, value *string) {
		before, path, behind := localPart(place, *value)
		n := d.at[at]
		if path == "" || filepath.IsAbs(path) || n == nil {
			return
		}
		if rel, err := filepath.Rel(dir, filepath.Join(n.at.file.dir, path)); err == nil {
			*value = before + filepath.ToSlash(rel) + behind
		}
	})
}
