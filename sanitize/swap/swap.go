// Package swap accounts for Linux swap space: all but its header is dead.
//
// The layout is union swap_header of the kernel's include/linux/swap.h. A
// space that holds an image of a suspended system is refused.
package swap

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

const (
	magicLen   = 10 // at the end of the first page
	magic      = "SWAPSPACE2"
	offHeader  = 1024 // what is ahead is left to boot loaders
	offPages   = 1028
	offBad     = 1032
	offLabel   = 1052
	labelLen   = 16
	offBadList = 1536
	smallPage  = 4096
	largePage  = 65536
)

// suspended are the signatures of an image of a suspended system, in place of
// the magic: those of the kernel, of uswsusp and of TuxOnIce.
var suspended = []string{"S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001", "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"}

// Driver recognises swap space.
type Driver struct{}

// Name returns "swap".
func (Driver) Name() string { return "swap" }

// Open reads the header. The size of a page is not stored: it is where the
// magic is.
func (Driver) Open(_ context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	for page := int64(smallPage); page <= largePage && page <= r.Size(); page *= 2 {
		b := make([]byte, page)
		if err := sanitize.ReadFull(r, b, 0); err != nil {
			return nil, err
		}
		mark := b[page-magicLen:]
		for _, s := range suspended {
			if bytes.HasPrefix(mark, []byte(s)) {
				return nil, fault.New(fault.Input, fmt.Errorf("a suspended system waits in the swap space: %w", sanitize.ErrRefused),
					"start the system and shut it down, or make the swap space anew with mkswap")
			}
		}
		if string(mark) == magic {
			return open(r, b)
		}
	}
	return nil, sanitize.ErrNotRecognized
}

func open(r disk.Reader, b []byte) (sanitize.Filesystem, error) {
	le, page := binary.LittleEndian, int64(len(b))
	s := &space{r: r, page: page, label: string(bytes.TrimRight(b[offLabel:offLabel+labelLen], "\x00"))}
	s.end = (int64(le.Uint32(b[offPages:])) + 1) * page
	s.list = offBadList + 4*int64(le.Uint32(b[offBad:]))
	if s.end > r.Size() || s.list > page-magicLen {
		return nil, fmt.Errorf("a swap space of %d bytes with a header of %d does not fit into %d", s.end, s.list, r.Size())
	}
	return s, nil
}

type space struct {
	r     disk.Reader
	page  int64
	list  int64 // end of the list of bad pages
	end   int64
	label string
}

// Type returns "swap".
func (s *space) Type() string { return "swap" }

// Label returns the label.
func (s *space) Label() string { return s.label }

// Regions accounts for every byte. Bad pages are dead as well: nothing is
// read from them.
func (s *space) Regions(_ context.Context, emit func(sanitize.Region) error) error {
	piece := func(off, end int64, c sanitize.Class, owner string) sanitize.Region {
		return sanitize.Region{Extent: disk.Extent{Off: off, Len: end - off}, Class: c, Owner: owner}
	}
	area, err := sanitize.BootArea(s.r, offHeader)
	if err != nil {
		return err
	}
	pieces := append(area,
		piece(offHeader, s.list, sanitize.Metadata, "swap header"),
		piece(s.list, s.page-magicLen, sanitize.Stale, "rest of the header's page"),
		piece(s.page-magicLen, s.page, sanitize.Metadata, "swap header"),
		piece(s.page, s.end, sanitize.Free, "swap pages"),
	)
	rest := sanitize.Fill(sanitize.Unknown, "swap space", emit)
	if err := sanitize.Tile(pieces, 0, s.end, emit, rest); err != nil {
		return err
	}
	return sanitize.Tail(s.r, s.end, emit)
}
