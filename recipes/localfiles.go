package recipes

import (
	"path/filepath"
	"slices"
	"strings"
)

// LocalFiles returns the absolute paths of the files and folders on this
// machine that become part of the appliance, sorted: what a lock pins. Globs
// of the class path are expanded; images and the sources of packages are not
// among them, for other parts of the lock pin those.
func (r *Resolved) LocalFiles() []string {
	var list []string
	eachPath(&r.Recipe, func(at, place string, value *string) {
		switch {
		case place == "image", strings.HasPrefix(at, "sources."), r.packaged[*value]:
		case place == "classpath" && strings.ContainsAny(*value, "*?["):
			matches, _ := filepath.Glob(*value) // the pattern was checked when the recipe was
			list = append(list, matches...)
		default:
			list = append(list, *value)
		}
	})
	slices.Sort(list)
	return slices.Compact(list)
}
