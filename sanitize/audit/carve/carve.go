// Package carve recognises files by their content alone: what a stranger does
// who has an image and no directory.
//
// A [Type] has anchors, by which the scan notices it, and a measure, which
// follows the structure of the file to its end. Where the structure tells the
// size, the size is exact. How far the structure held is the [Confidence]:
//
//   - High: the structure was followed to the end of the file, or a checksum
//     of it fits.
//   - Medium: the head is sound, but the end is cut off, overwritten or not
//     told by the format.
//   - Low: a few bytes look so; text and chance look so too.
//
// Measures read foreign bytes through a [View], which bounds what one file may
// cost, whatever it claims.
//
// [Types] is the registry: a format is one entry there and one function.
package carve

import (
	"fmt"
	"slices"
)

// Confidence says how sure a finding is.
type Confidence uint8

// The degrees of confidence.
const (
	Low Confidence = iota + 1
	Medium
	High
)

var confidenceNames = [...]string{"", "low", "medium", "high"}

// String returns the name that reports show.
func (c Confidence) String() string { return confidenceNames[c] }

// MarshalText gives a confidence its name in JSON.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the name of a confidence.
func (c *Confidence) UnmarshalText(text []byte) error {
	i := slices.Index(confidenceNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("no confidence is named %q", text)
	}
	*c = Confidence(i)
	return nil
}

// Anchor is a string that files of a type have.
type Anchor struct {
	// Text is the string, at byte At of the file.
	Text string
	At   int64
	// Fold lets letters match in either case; Text is in lower case.
	Fold bool
	// Align, unless zero, is what the start of the file is a multiple of.
	Align int64
}

// Type is a kind of files.
type Type struct {
	// Name is the usual extension, or a short noun.
	Name string
	// Title says it in words.
	Title   string
	Anchors []Anchor
	// Volume is set for what stands at the beginning of filesystems and such.
	Volume bool
	// measure looks at the file that begins where v does. ok is false when it
	// is none of the type.
	measure func(v *View) (f Found, ok bool)
}

// Measure looks at the file that begins where v does, at whose anchor the
// caller has found what belongs there. ok is false when it is none of the
// type. The size is never more than there is.
func (t Type) Measure(v *View) (f Found, ok bool) {
	f, ok = t.measure(v)
	if f.Back < 0 || f.Back > v.Before() || f.Size <= 0 || !ok {
		return none()
	}
	if most := v.Len() + f.Back; f.Size > most {
		f.Size, f.Confidence = most, min(f.Confidence, Medium)
	}
	return f, true
}

// Found is what a measure found.
type Found struct {
	// Name and Title, unless empty, are more exact than those of the type.
	Name, Title string
	// Back is how many bytes ahead of the view the file begins.
	Back int64
	// Size is the number of bytes, as far as it is known.
	Size       int64
	Confidence Confidence
	// Detail is what a reader wants to know besides: dimensions, a label.
	Detail string
}

// found is the common result.
func found(size int64, c Confidence) (Found, bool) { return Found{Size: size, Confidence: c}, size > 0 }

// none is the result of a measure that found another thing.
func none() (Found, bool) { return Found{}, false }

// fits turns a size that a header claims into a result: high when that many
// bytes are there, medium when they are cut off.
func fits(v *View, size int64) (Found, bool) {
	if size <= 0 {
		return none()
	}
	if size > v.Len() {
		return found(v.Len(), Medium)
	}
	return found(size, High)
}
