package recipes

import (
	"embed"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

//go:embed *.yaml
var builtin embed.FS

// Builtins lists the names of the recipes that come with the program, sorted.
func Builtins() []string {
	entries, err := builtin.ReadDir(".")
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
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
