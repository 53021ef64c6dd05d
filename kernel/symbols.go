package kernel

import (
	"bufio"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// symbols are the configuration symbols of a source tree, with what each
// depends on.
type symbols map[string][]string

// readSymbols reads the Kconfig files of a tree, as far as hints need them.
func readSymbols(tree string) (symbols, error) {
	found := symbols{}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), "Kconfig") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return found.read(bufio.NewScanner(f))
	})
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's Kconfig files: %w", err)
	}
	return found, nil
}

// read takes "config NAME" and the "depends on" lines below it
// (Documentation/kbuild/kconfig-language.rst).
func (s symbols) read(lines *bufio.Scanner) error {
	name := ""
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 2 && (words[0] == "config" || words[0] == "menuconfig"):
			name = words[1]
			s[name] = append(s[name], []string{}...)
		case len(words) > 2 && words[0] == "depends" && words[1] == "on" && name != "":
			s[name] = append(s[name], strings.Join(words[2:], " "))
		case len(words) > 0 && slices.Contains([]string{"if", "endif", "menu", "endmenu", "choice", "endchoice"}, words[0]):
			name = ""
		}
	}
	return lines.Err()
}

// hint says what to do about a setting that kconfig did not take.
func (s symbols) hint(m Miss) string {
	depends, known := s[m.Symbol]
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
