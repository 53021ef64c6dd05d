package lvm

import (
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// placed is the content of a file on a logical volume that knows its places
// there.
type placed struct {
	sanitize.Content
	sanitize.Locator
	v *volume
}

// place makes the places of what open returns those on the physical volume.
func (v *volume) place(open func() (sanitize.Content, error)) func() (sanitize.Content, error) {
	if open == nil {
		return nil
	}
	return func() (sanitize.Content, error) {
		c, err := open()
		if l, ok := c.(sanitize.Locator); ok && err == nil {
			return placed{c, l, v}, nil
		}
		return c, err
	}
}

// Span implements [sanitize.Locator]. A stretch ends with the run that it lies
// in.
func (p placed) Span(off int64) (sanitize.Span, bool) {
	s, ok := p.Locator.Span(off)
	if !ok || s.At < 0 {
		return s, ok
	}
	at := s.At + off - s.Off
	i := sort.Search(len(p.v.starts), func(i int) bool { return p.v.starts[i] > at }) - 1
	if i < 0 {
		return sanitize.Span{}, false
	}
	run := disk.Extent{Off: p.v.starts[i], Len: p.v.runs[i].Len}
	from, to := max(s.At, run.Off), min(s.At+s.Len, run.End())
	if from >= to {
		return sanitize.Span{}, false
	}
	s.Off += from - s.At
	s.Len, s.At = to-from, p.v.runs[i].Off+from-run.Off
	return s, true
}
