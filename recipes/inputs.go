package recipes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// inputs reports the local files and folders of a recipe that are missing or
// are of the wrong kind. The paths of r are absolute; written tells how each
// stands in the recipe.
func (d *decoder) inputs(r *Recipe, packaged map[string]bool) {
	eachPath(r, func(at, place string, value *string) {
		_, path, _ := localPart(place, *value)
		n := d.at[at]
		if path == "" || n == nil || packaged[path] {
			return
		}
		if err := checkInput(path, place); err != nil {
			d.problems.add(n.at, at, inputHint(path, n), "`%s`: %v", at, err)
		}
	})
}

// checkInput looks at one path.
func checkInput(path, place string) error {
	if place == "classpath" && strings.ContainsAny(path, "*?[") {
		matches, err := filepath.Glob(path)
		if err != nil {
			return fmt.Errorf("%s is not a glob: %w", path, err)
		}
		if len(matches) == 0 {
			return fmt.Errorf("nothing matches %s", path)
		}
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, reason(err))
	case place == "file" && info.IsDir():
		return fmt.Errorf("%s is a folder, not a file", path)
	case place == "dir" && !info.IsDir():
		return fmt.Errorf("%s is a file, not a folder", path)
	}
	return nil
}

// inputHint names a file beside the missing one that may be meant.
func inputHint(path string, n *node) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "relative paths start at " + n.at.file.dir
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if s := suggest(filepath.Base(path), names); s != "" {
		return "did you mean `" + s + "`?"
	}
	return "relative paths start at " + n.at.file.dir
}
