package kernel

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/kernel/kconfig"
)

// symbols are the configuration symbols of a source tree.
type symbols kconfig.Symbols

// readSymbols reads the Kconfig files of a tree.
func readSymbols(tree string) (symbols, error) {
	found, err := kconfig.Read(os.DirFS(tree))
	return symbols(found), err
}

// depends returns what a symbol depends on where it was defined first.
func (s symbols) depends(name string) (conditions []string, known bool) {
	definitions := s[name]
	if len(definitions) == 0 {
		return nil, false
	}
	return definitions[0].Depends, true
}

// hint says what to do about a setting that kconfig did not take.
func (s symbols) hint(m Miss) string {
	depends, known := s.depends(m.Symbol)
	switch {
	case known && m.Value == "n":
		return fmt.Sprintf("CONFIG_%s is selected by something else that is asked for", m.Symbol)
	case known && m.Value == "m" && m.Got == "y":
		return fmt.Sprintf("this kernel has no modules: write CONFIG_%s=y", m.Symbol)
	case known && len(depends) > 0:
		return fmt.Sprintf("CONFIG_%s depends on %s", m.Symbol, strings.Join(depends, ", and on "))
	case known:
		return fmt.Sprintf("CONFIG_%s exists, but the menu it stands in is off or another choice is taken", m.Symbol)
	}
	if names := s.similar(m.Symbol); len(names) > 0 {
		return fmt.Sprintf("this kernel has no CONFIG_%s; did you mean CONFIG_%s?", m.Symbol, strings.Join(names, " or CONFIG_"))
	}
	return fmt.Sprintf("this kernel has no CONFIG_%s", m.Symbol)
}

// maxSimilar is how many names a hint offers.
const maxSimilar = 3

// similar returns known names that hold the wanted one as whole words, or the
// other way round, and names that differ by a typing error. Those nearest in
// length come first.
func (s symbols) similar(want string) []string {
	var names []string
	for name := range s {
		if holdsWords(name, want) || len(name) > 4 && holdsWords(want, name) || distance(name, want) <= min(2, len(want)/4) {
			names = append(names, name)
		}
	}
	off := func(n string) int { return max(len(n)-len(want), len(want)-len(n)) }
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(off(a), off(b)), cmp.Compare(a, b)) })
	return names[:min(len(names), maxSimilar)]
}

// holdsWords tells whether the words of part, split at underscores, stand in
// name one after the other.
func holdsWords(name, part string) bool {
	return strings.Contains("_"+name+"_", "_"+part+"_")
}

// distance is Levenshtein's, of two short strings; lengths that differ by more
// than two give three.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
