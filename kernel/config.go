package kernel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Setting is one line of a fragment: a symbol and the value asked for.
type Setting struct {
	Symbol string // without CONFIG_
	Value  string // y, m, n, a number, or a quoted string
	File   string // the fragment it stands in
	Line   int    // from 1
	// Override says that the line is meant to replace what an earlier
	// fragment asked for.
	Override bool
}

// Fragment is a part of a kernel configuration, in the language of .config.
type Fragment struct {
	Name     string // file name, for messages
	Settings []Setting
	Comments []Comment
}

// Comment is a comment of a fragment: adjoining lines as one text.
type Comment struct {
	Line int // of its last line, from 1
	Text string
}

// Why returns the comment that a line of the fragment stands below.
func (f Fragment) Why(line int) string {
	why := ""
	for _, c := range f.Comments {
		if c.Line < line {
			why = c.Text
		}
	}
	return why
}

// comment adds a line of a comment.
func (f *Fragment) comment(line int, text string) {
	if last := len(f.Comments) - 1; last >= 0 && f.Comments[last].Line == line-1 {
		f.Comments[last] = Comment{Line: line, Text: strings.TrimSpace(f.Comments[last].Text + " " + text)}
	} else if text != "" {
		f.Comments = append(f.Comments, Comment{Line: line, Text: text})
	}
}

// overrideMark is the comment that lets the next line replace a setting of an
// earlier fragment.
const overrideMark = "# imgbuild: override"

var (
	assignment = regexp.MustCompile(`^CONFIG_([A-Za-z0-9_]+)=(y|m|n|-?[0-9]+|0[xX][0-9a-fA-F]+|"(?:[^"\\]|\\.)*")$`)
	unset      = regexp.MustCompile(`^# CONFIG_([A-Za-z0-9_]+) is not set$`)
)

// ParseFragment reads a fragment: lines CONFIG_X=value, lines
// "# CONFIG_X is not set", comments and blank lines. Anything else is an
// error. The line "# imgbuild: override" lets the setting on the next line
// replace that of an earlier fragment.
func ParseFragment(name string, r io.Reader) (Fragment, error) {
	f := Fragment{Name: name}
	lines := bufio.NewScanner(r)
	override := 0
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == overrideMark {
			override = n
			continue
		}
		s := Setting{File: name, Line: n, Override: override > 0 && override == n-1}
		if m := assignment.FindStringSubmatch(line); m != nil {
			s.Symbol, s.Value = m[1], m[2]
		} else if m := unset.FindStringSubmatch(line); m != nil {
			s.Symbol, s.Value = m[1], "n"
		} else if line == "" {
			continue
		} else if text, ok := strings.CutPrefix(line, "#"); ok {
			f.comment(n, strings.TrimSpace(text))
			continue
		} else {
			return Fragment{}, fault.New(fault.Recipe,
				fmt.Errorf("%s:%d: %q is not a setting", name, n, line),
				"write CONFIG_NAME=y, CONFIG_NAME=\"text\" or # CONFIG_NAME is not set")
		}
		f.Settings = append(f.Settings, s)
	}
	if err := lines.Err(); err != nil {
		return Fragment{}, fmt.Errorf("reading kernel fragment %s: %w", name, err)
	}
	return f, nil
}

// Merge joins fragments, first to last. A symbol keeps the place where it was
// asked for first. Two values for one symbol are an error that names both
// lines, unless the later one is marked as an override.
func Merge(fragments []Fragment) ([]Setting, error) {
	var merged []Setting
	var conflicts []error
	at := map[string]int{}
	for _, f := range fragments {
		for _, s := range f.Settings {
			i, seen := at[s.Symbol]
			switch {
			case !seen:
				at[s.Symbol] = len(merged)
				merged = append(merged, s)
			case merged[i].Value == s.Value:
			case s.Override:
				merged[i] = s
			default:
				old := merged[i]
				conflicts = append(conflicts, fmt.Errorf("%s:%d asks for CONFIG_%s=%s, but %s:%d for %s",
					s.File, s.Line, s.Symbol, s.Value, old.File, old.Line, old.Value))
			}
		}
	}
	if len(conflicts) > 0 {
		return nil, fault.New(fault.Recipe, fmt.Errorf("merging kernel fragments: %w", errors.Join(conflicts...)),
			fmt.Sprintf("to replace the earlier value, put the line %q right above the later one", overrideMark))
	}
	return merged, nil
}

// AllConfig writes settings as a file for KCONFIG_ALLCONFIG.
func AllConfig(settings []Setting) []byte {
	var b bytes.Buffer
	for _, s := range settings {
		if s.Value == "n" {
			fmt.Fprintf(&b, "# CONFIG_%s is not set\n", s.Symbol)
		} else {
			fmt.Fprintf(&b, "CONFIG_%s=%s\n", s.Symbol, s.Value)
		}
	}
	return b.Bytes()
}

// ParseConfig reads a complete .config. Symbols that are not set are left out.
func ParseConfig(r io.Reader) (map[string]string, error) {
	f, err := ParseFragment(".config", r)
	if err != nil {
		return nil, err
	}
	config := make(map[string]string, len(f.Settings))
	for _, s := range f.Settings {
		if s.Value != "n" {
			config[s.Symbol] = s.Value
		}
	}
	return config, nil
}

// Miss is a setting that kconfig did not take.
type Miss struct {
	Setting
	Got string // the value in the final .config; n when it is not there
}

// String tells what was asked for, where, and what came of it.
func (m Miss) String() string {
	return fmt.Sprintf("%s:%d: CONFIG_%s=%s became %s", m.File, m.Line, m.Symbol, m.Value, m.Got)
}

// Check compares what was asked for with a final .config and returns every
// setting that was missed, in the order of the settings.
func Check(settings []Setting, config map[string]string) []Miss {
	var misses []Miss
	for _, s := range settings {
		got, ok := config[s.Symbol]
		if !ok {
			got = "n"
		}
		// A string symbol whose dependencies are unmet is absent, which is as
		// good as empty.
		if got == s.Value || s.Value == `""` && !ok {
			continue
		}
		misses = append(misses, Miss{Setting: s, Got: got})
	}
	return misses
}
