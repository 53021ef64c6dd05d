package recipes

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

//go:embed *.yaml tomcat
var builtin embed.FS

// Builtins lists the names of the recipes that come with the program, sorted.
func Builtins() []string {
	paths, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		return nil
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(p, ".yaml")
	}
	return names
}

// Builtin returns the text of a recipe that comes with the program. Its
// relative paths start at the folder of recipes in the source tree.
func Builtin(name string) ([]byte, error) {
	data, err := builtin.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("there is no built-in recipe %q", name), didYouMean(name, Builtins()))
	}
	return data, nil
}

// BuiltinFiles returns the files that a recipe of the program reads beside
// itself, by their paths relative to it: tomcat/conf/server.xml. A recipe that
// needs none has none; programs of the examples are not among them.
func BuiltinFiles(name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	if info, err := fs.Stat(builtin, path.Clean(name)); err != nil || !info.IsDir() {
		return files, nil
	}
	err := fs.WalkDir(builtin, name, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[p], err = builtin.ReadFile(p)
		}
		return err
	})
	return files, err
}
