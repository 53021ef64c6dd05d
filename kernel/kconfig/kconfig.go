// Package kconfig reads the Kconfig files of a kernel source, as far as it
// takes to tell what a symbol is, what it depends on and what selects it
// (Documentation/kbuild/kconfig-language.rst). It evaluates nothing: conditions
// are kept as they are written.
//
// [Read] begins at the file Kconfig and follows every source line, as kconfig
// does, so that the conditions of the menus and blocks around a symbol are known
// with it.
package kconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Arch is the architecture whose files are read.
const Arch = "x86"

// Definition is one place where a symbol is defined. Some symbols have several.
type Definition struct {
	File   string `json:"file"` // in the source
	Line   int    `json:"line"`
	Type   string `json:"type,omitempty"`   // bool, tristate, int, hex or string
	Prompt string `json:"prompt,omitempty"` // empty when only other symbols can set it
	// Depends are conditions that must all hold: its own, and those of the
	// menus and blocks around it.
	Depends []string `json:"depends,omitempty"`
	Selects []string `json:"selects,omitempty"` // "NAME" or "NAME if CONDITION"
	Help    string   `json:"help,omitempty"`
}

// Symbols are definitions by the symbol's name, without CONFIG_.
type Symbols map[string][]Definition

// Bounds of a source; Linux 6.12 has 1700 files, ten deep, and 20 000 symbols.
const (
	maxFiles = 1 << 14
	maxDepth = 64
	maxFile  = 4 << 20 // bytes
)

// Read reads the Kconfig files of a source, whose folder fsys is. Files that a
// source line names and that are not there are left out, as for osource.
func Read(fsys fs.FS) (Symbols, error) {
	r := &reader{fsys: fsys, symbols: Symbols{}}
	if err := r.file("Kconfig", 0, nil); err != nil {
		return nil, fmt.Errorf("reading the kernel's Kconfig files: %w", err)
	}
	if len(r.symbols) == 0 {
		return nil, errors.New("reading the kernel's Kconfig files: there is no file Kconfig with symbols; a kernel source has one")
	}
	return r.symbols, nil
}

// SelectedBy returns the symbols that select name, sorted, each with its
// condition: "SYMBOL" or "SYMBOL if CONDITION".
func (s Symbols) SelectedBy(name string) []string {
	var found []string
	for _, symbol := range slices.Sorted(maps.Keys(s)) {
		for _, d := range s[symbol] {
			for _, selected := range d.Selects {
				target, condition, conditional := strings.Cut(selected, " if ")
				if target != name {
					continue
				}
				if conditional {
					symbol += " if " + condition
				}
				found = append(found, symbol)
			}
		}
	}
	return slices.Compact(found)
}
