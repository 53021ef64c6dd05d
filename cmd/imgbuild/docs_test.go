package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	shown      = regexp.MustCompile(`(?m)^(?:\$ )?(?:bin/)?(imgbuild [a-z-][^\n]*)`)
	shownEnd   = regexp.MustCompile(` +(#|&|&&|\||>|;|\)) ?.*$|;$`)
	codeBlock  = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")
	quoted     = regexp.MustCompile(`'[^']*'|"[^"]*"`)
	linkTarget = regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)
)

// TestDocs parses every command that the documentation shows in a block of
// code, as [TestHelp] does those of the verbs, and follows its links.
func TestDocs(t *testing.T) {
	seen := 0
	for _, name := range repositoryFiles(t) {
		if filepath.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			continue // removed, but not yet from the index
		}
		t.Run(name, func(t *testing.T) {
			for _, link := range linkTarget.FindAllSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join("../..", filepath.Dir(name), string(link[1]))); err != nil {
					t.Errorf("a link leads nowhere: %v", err)
				}
			}
			for _, block := range codeBlock.FindAllSubmatch(text, -1) {
				whole := strings.ReplaceAll(string(block[1]), "\\\n", " ")
				for _, m := range shown.FindAllStringSubmatch(whole, -1) {
					line := quoted.ReplaceAllStringFunc(m[1], func(word string) string { return strings.ReplaceAll(word, " ", "") })
					checkExample(t, newRoot(), shownEnd.ReplaceAllString(line, ""))
					seen++
				}
			}
		})
	}
	if seen < 40 {
		t.Errorf("the documentation shows %d commands", seen)
	}
}
