package secret

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/imgbuild/imgbuild/sanitize/audit/match"
)

//go:embed rules
var builtin embed.FS

// File is a file of rules.
type File struct {
	Rules []Rule  `yaml:"rules,omitempty"`
	Allow []Allow `yaml:"allow,omitempty"`
}

// Allow lets findings pass, for a reason.
type Allow struct {
	// Rule is the identifier of a rule, or the name of a carved type.
	Rule string `yaml:"rule" json:"rule"`
	// Path is a pattern of the owner's path; every owner when empty.
	Path string `yaml:"path,omitempty" json:"path,omitempty"`
	// Reason says why; it must not be empty.
	Reason string `yaml:"reason" json:"reason"`

	glob *glob
}

// parseBuiltin compiles the rules that come with imgbuild, once for all audits:
// it takes longer than to scan a small image.
var parseBuiltin = sync.OnceValues(func() ([]Rule, error) {
	var rules []Rule
	err := eachBuiltin(func(name string, text []byte) error {
		f, err := Parse(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rules = append(rules, f.Rules...)
		return nil
	})
	return rules, err
})

// eachBuiltin calls fn with the files of rules, in the order of their names.
func eachBuiltin(fn func(name string, text []byte) error) error {
	files, err := builtin.ReadDir("rules")
	for _, f := range files {
		name := "rules/" + f.Name()
		text, err := builtin.ReadFile(name)
		if err == nil {
			err = fn(name, text)
		}
		if err != nil {
			return err
		}
	}
	return err
}

// Builtin returns the rules that come with imgbuild. The list is the caller's;
// what the rules hold is shared and must not be changed.
func Builtin() ([]Rule, error) {
	rules, err := parseBuiltin()
	return slices.Clone(rules), err
}

// BuiltinText returns the text of these rules.
func BuiltinText() []byte {
	var all []byte
	// Reading what is part of the program does not fail.
	_ = eachBuiltin(func(_ string, text []byte) error {
		all = append(all, text...)
		return nil
	})
	return all
}

// Parse reads a file of rules. Unknown keys are errors.
func Parse(r io.Reader) (File, error) {
	f, err := decode(r)
	if err != nil && !errors.Is(err, io.EOF) {
		return File{}, errors.New(yaml.FormatError(err, false, false))
	}
	var faults []error
	seen := map[string]bool{}
	for i := range f.Rules {
		r := &f.Rules[i]
		if err := r.compile(); err != nil {
			faults = append(faults, fmt.Errorf("rule %d (%s): %w", i+1, r.ID, err))
		}
		if seen[r.ID] {
			faults = append(faults, fmt.Errorf("rule %d: another one is named %s", i+1, r.ID))
		}
		seen[r.ID] = true
	}
	for i := range f.Allow {
		if err := f.Allow[i].Compile(); err != nil {
			faults = append(faults, fmt.Errorf("allow %d: %w", i+1, err))
		}
	}
	return f, errors.Join(faults...)
}

// Bounds on a file of rules: the YAML library takes memory without limit for
// what nests deeply.
const (
	maxRules   = 1 << 20 // bytes
	maxNesting = 16      // a rule needs four
)

// decode reads the YAML. The decoder is known to panic on some malformed files;
// that must not be the user's problem.
func decode(r io.Reader) (f File, err error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRules+1))
	switch {
	case err != nil:
		return f, err
	case len(text) > maxRules:
		return f, fmt.Errorf("the file has more than %d bytes", maxRules)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this is not YAML that can be read: %v", p)
		}
	}()
	if line := tooDeep(lexer.Tokenize(string(text))); line > 0 {
		return f, fmt.Errorf("line %d nests deeper than %d", line, maxNesting)
	}
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&f)
	return f, err
}

// tooDeep returns the line in which something nests too deeply, by brackets or
// by indicators such as "- - -"; 0 when nothing does. What is indented is
// bounded by the size of the file.
func tooDeep(tokens token.Tokens) int {
	flow, run := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			run++
		default:
			run = 0
		}
		if max(flow, run) > maxNesting {
			return t.Position.Line
		}
	}
	return 0
}

// Compile checks an entry and makes it ready.
func (a *Allow) Compile() (err error) {
	switch {
	case a.Rule == "":
		return errors.New("rule is missing: name the rule that may be broken")
	case strings.TrimSpace(a.Reason) == "":
		return errors.New("reason is missing: say why the finding may stay")
	case a.Path != "":
		a.glob, err = compileGlob(a.Path)
	}
	return err
}

// Allows reports whether a lets a finding of a rule in owner pass.
func (a *Allow) Allows(rule, owner string) bool {
	return a.Rule == rule && (a.glob == nil || a.glob.match(owner))
}

// compile checks a rule and makes it ready.
func (r *Rule) compile() error {
	switch {
	case r.ID == "" || r.Title == "" || r.Severity == 0:
		return errors.New("id, title and severity are needed")
	case len(r.Anchors) == 0 && len(r.Files) == 0 && len(r.Paths) == 0:
		return errors.New("it looks for nothing: give anchors, files or paths")
	case (len(r.Anchors) > 0) != (r.Pattern != ""):
		return errors.New("anchors and pattern belong together")
	case len(r.Anchors) == 0 && (r.Before != "" || r.Near != nil || r.Generic):
		return errors.New("before, near and generic belong to a pattern")
	case r.Near != nil && (r.Near.Severity > 0) != (r.Near.Title != ""):
		return errors.New("near.severity and near.title belong together")
	case r.Window < 0 || r.Window > maxWindow:
		return fmt.Errorf("window is %d, the most is %d", r.Window, maxWindow)
	case r.Near != nil && (r.Near.Within <= 0 || r.Near.Within > maxNear):
		return fmt.Errorf("near.within is %d, the most is %d", r.Near.Within, maxNear)
	}
	if r.Window == 0 {
		r.Window = defaultWindow
	}
	for i, a := range r.Anchors {
		if len(a) < match.MinAnchor {
			return fmt.Errorf("anchor %q is shorter than %d bytes", a, match.MinAnchor)
		}
		if r.Fold {
			r.Anchors[i] = strings.ToLower(a)
		}
	}
	return r.compilePatterns()
}

func (r *Rule) compilePatterns() error {
	var faults []error
	compile := func(key, text, format string) *regexp.Regexp {
		if text == "" {
			return nil
		}
		re, err := regexp.Compile(fmt.Sprintf(format, text))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
		return re
	}
	r.re = compile("pattern", r.Pattern, `\A(?:%s)`)
	r.before = compile("before", r.Before, `(?:%s)\z`)
	r.content = compile("content", r.Content, `%s`)
	if r.Near != nil {
		r.near = compile("near.pattern", r.Near.Pattern, `%s`)
	}
	if r.Protected != nil {
		r.protected = compile("protected.pattern", r.Protected.Pattern, `%s`)
	}
	for _, u := range r.Unlike {
		r.unlike = append(r.unlike, compile("unlike", u, `%s`))
	}
	for _, p := range r.Paths {
		g, err := compileGlob(p)
		faults = append(faults, err)
		r.paths = append(r.paths, g)
	}
	return errors.Join(faults...)
}
