package recipes

import (
	_ "embed"
	"strings"
)

//go:embed starter/short.yaml
var starterShort string

//go:embed starter/full.yaml
var starterFull string

// Starter returns a commented recipe to start from: a JVM app from a jar.
// With full it shows every key there is. The name is brought into the form
// that recipes want.
func Starter(name string, full bool) []byte {
	text := starterShort
	if full {
		text = starterFull
	}
	return []byte(strings.ReplaceAll(text, "NAME", recipeName(name)))
}

// recipeName makes a recipe's name of any text, such as the name of a folder.
func recipeName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
			return r
		}
		return '-'
	}, strings.ToLower(text))
	name = strings.TrimLeft(name, "._-")
	name = strings.TrimRight(name[:min(len(name), 63)], "-")
	if name == "" {
		return "app"
	}
	return name
}
