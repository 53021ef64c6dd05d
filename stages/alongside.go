package stages

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/recipes"
)

// alongside returns a jar and those that it loads by the Class-Path of its
// manifest, and they by theirs, in the order in which a JVM looks for classes
// (JAR File Specification, "Class-Path Attribute"). Each is there once, unless
// seen has it. What the manifest names and is not there is left out, as the JVM
// does; a file that is no jar loads nothing.
func alongside(jar string, seen map[string]bool) []string {
	if seen[jar] {
		return nil
	}
	seen[jar] = true
	list := []string{jar}
	for _, entry := range manifestClassPath(jar) {
		name, err := url.PathUnescape(entry)
		if err != nil || strings.Contains(name, ":") || filepath.IsAbs(name) {
			continue // of no machine but the one that it was made on
		}
		other := filepath.Join(filepath.Dir(jar), filepath.FromSlash(name))
		if info, err := os.Stat(other); err == nil && info.Mode().IsRegular() {
			list = append(list, alongside(other, seen)...)
		}
	}
	return list
}

// manifestClassPath reads what the manifest of a jar names.
func manifestClassPath(jar string) []string {
	f, size, err := openSized(jar)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := readJar(jar, f, size)
	if err != nil {
		return nil // the stage that takes it says what is wrong
	}
	return info.ClassPath
}

// localClassPath returns the absolute paths that an entry of the class path on
// this machine stands for: a glob for all that it matches, and each jar for what
// lies alongside. The pattern was checked when the recipe was.
func localClassPath(entry string, seen map[string]bool) (list []string) {
	matches := []string{entry}
	if strings.ContainsAny(entry, "*?[") {
		matches, _ = filepath.Glob(entry)
	}
	for _, match := range matches {
		list = append(list, alongside(match, seen)...)
	}
	return list
}

// classPathOfRecipe is app.jar and app.classPath.
func classPathOfRecipe(r *recipes.Recipe) []string {
	if r.App.Jar == "" {
		return r.App.ClassPath
	}
	return append([]string{r.App.Jar}, r.App.ClassPath...)
}

// localFiles are what the recipe names, and what its jars load.
func localFiles(r *recipes.Resolved) []string {
	list := r.LocalFiles()
	seen := map[string]bool{}
	for _, entry := range classPathOfRecipe(&r.Recipe) {
		if !r.FromPackages(entry) {
			list = append(list, localClassPath(entry, seen)...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
