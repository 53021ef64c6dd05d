// Package secret recognises what must not be in an image that others get:
// keys, tokens, passwords, and the files that tell of their former owner.
//
// Rules are data: the files of the folder rules, and the user's own file in the
// same form (docs/audit.md). A [Rule] looks at content, at the paths of live
// files, or at both:
//
//   - Anchors are literal strings; at each the pattern is tried. What it
//     matches is the finding; its first group is the secret itself.
//   - Files are names of carved types (package carve) whose presence is the
//     finding: keys in DER, keystores, heap dumps.
//   - Paths are patterns of file names. Alone, or with Content, they make the
//     file itself the finding; with anchors they limit where these count.
//
// No secret is ever told whole: see [Mask].
package secret

import (
	"fmt"
	"regexp"
	"slices"
)

// Severity says how much harm a finding may do.
type Severity uint8

// The severities.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severityNames = [...]string{"", "info", "low", "medium", "high", "critical"}

// String returns the name that reports show.
func (s Severity) String() string { return severityNames[s] }

// MarshalText gives a severity its name in JSON and YAML.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name of a severity.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames[1:], string(text))
	if i < 0 {
		return fmt.Errorf("no severity is named %q", text)
	}
	*s = Severity(i + 1)
	return nil
}

// Rule is one thing to look for, as files of rules have it.
type Rule struct {
	// ID names the rule in reports and allow-lists.
	ID string `yaml:"id"`
	// Title says in a few words what a finding is.
	Title    string   `yaml:"title"`
	Severity Severity `yaml:"severity"`
	// Why says what a stranger can do with it.
	Why string `yaml:"why,omitempty"`

	Anchors []string `yaml:"anchors,omitempty"`
	// Fold lets the letters of anchors match in either case.
	Fold bool `yaml:"fold,omitempty"`
	// Pattern is a regular expression (RE2) for what begins at the anchor.
	Pattern string `yaml:"pattern,omitempty"`
	// Alone asks that no letter, digit or underscore stands ahead.
	Alone bool `yaml:"alone,omitempty"`
	// Before is a regular expression for what must end at the anchor.
	Before string `yaml:"before,omitempty"`
	// Window is how many bytes the pattern sees; 512 unless set.
	Window int `yaml:"window,omitempty"`
	// Entropy is the least number of bits for each character of the secret.
	Entropy float64 `yaml:"entropy,omitempty"`
	// Unlike are patterns of the whole match that make it an example.
	Unlike []string `yaml:"unlike,omitempty"`
	// Generic is set for a pattern that knows a secret by its name only: what
	// another rule finds in the match tells more.
	Generic bool `yaml:"generic,omitempty"`
	// Near raises a finding that something else stands beside; without a
	// severity, there is none where nothing does.
	Near *Near `yaml:"near,omitempty"`
	// Protected lowers a finding whose match it finds something in.
	Protected *Protected `yaml:"protected,omitempty"`

	Files []string `yaml:"files,omitempty"`
	// Embedded is the severity of one of Files in the middle of another file,
	// and the most of a match in a program; that of the rule unless set.
	// Programs carry keys for testing themselves.
	Embedded Severity `yaml:"embedded,omitempty"`

	// Paths are patterns: "*" within a name, "**" across folders.
	Paths []string `yaml:"paths,omitempty"`
	// Content is what the beginning of a file must match.
	Content string `yaml:"content,omitempty"`

	re, before, near, protected, content *regexp.Regexp
	unlike                               []*regexp.Regexp
	paths                                []*glob
}

// Near says what raises a finding, and to what.
type Near struct {
	Pattern  string   `yaml:"pattern"`
	Within   int      `yaml:"within"` // bytes before and after
	Severity Severity `yaml:"severity,omitempty"`
	Title    string   `yaml:"title,omitempty"`
}

// Protected says what lowers a finding: a key with a passphrase.
type Protected struct {
	Pattern  string   `yaml:"pattern"`
	Severity Severity `yaml:"severity"`
	Note     string   `yaml:"note"`
}

// Bounds on windows, in bytes.
const (
	defaultWindow = 512
	maxWindow     = 16 << 10
	maxNear       = 4 << 10
	maxBefore     = 128
)
