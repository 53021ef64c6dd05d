package sanitize

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
)

// digestion takes the digest of what a scrub must leave as it is: the live tree
// of each volume (paths, modes, owners, times, targets, extended attributes,
// content), and every byte that is unknown or boot code. A volume whose driver
// is no [Walker] counts with all its live bytes and metadata as they are stored.
//
// A tree needs no ledger, so it is digested while the ledger is read.
//
// Along with the files it reads what stands behind their ends: see
// [digestion.unless].
type digestion struct {
	r      disk.Reader
	cancel context.CancelFunc
	ctx    context.Context
	trees  errgroup.Group               // one at a time: each takes all processors
	sums   map[int64]*[sha256.Size]byte // by the place of the volume
	// zeros are places behind which only zeros stand, up to the next multiple
	// of digestBlock on their volume; in the order of the files.
	zeros map[int64][]int64 // by the place of the volume, in bytes of it
}

// survey takes the ledger of r, and begins its digest: [digestion.sum] ends it.
func survey(ctx context.Context, r disk.Reader, drivers []Driver) (*Ledger, *digestion, error) {
	d := &digestion{r: disk.Uncached(r), sums: map[int64]*[sha256.Size]byte{}, zeros: map[int64][]int64{}}
	d.ctx, d.cancel = context.WithCancel(ctx)
	d.trees.SetLimit(1)
	l, err := read(ctx, r, drivers, ReadOptions{}, d.regions)
	if err != nil {
		d.cancel()
		_ = d.trees.Wait() // the ledger's error says more
		return nil, nil, err
	}
	return l, d, nil
}

// regions reads those of a volume, and begins with its live tree.
func (d *digestion) regions(ctx context.Context, v Volume, emit func(Region) error) error {
	w, ok := v.fs.(Walker)
	if !ok {
		return v.fs.Regions(ctx, emit)
	}
	sum := new([sha256.Size]byte)
	d.sums[v.Off] = sum
	t := newTreeHash(d.ctx, disk.Section(d.r, v.Off, v.Len))
	s, both := w.(Surveyor)
	d.trees.Go(func() error {
		var walked error
		if !both {
			walked = cmp.Or(w.Walk(t.ctx, t.file), t.end())
		}
		tree, err := t.sum()
		copy(sum[:], tree)
		d.zeros[v.Off] = t.zeros // trees take turns
		return wrap(fmt.Sprintf("walking the %s volume at byte %d", v.Type, v.Off), cmp.Or(err, walked))
	})
	if !both {
		return v.fs.Regions(ctx, emit)
	}
	err := s.Survey(ctx, t.file, emit)
	return cmp.Or(err, t.end())
}

// sum waits for the trees and returns the digest of all.
func (d *digestion) sum(ctx context.Context, r disk.Reader, l *Ledger) (string, error) {
	defer d.cancel()
	defer context.AfterFunc(ctx, d.cancel)()
	if err := d.trees.Wait(); err != nil {
		return "", err
	}
	h := sha256.New()
	g := digester{h: h, buf: make([]byte, scanBuffer)}
	for _, v := range l.Volumes {
		if sum := d.sums[v.Off]; sum != nil {
			g.field("volume", v.Off, v.Len, v.Type)
			h.Write(sum[:])
		}
	}
	if err := g.stored(ctx, r, l); err != nil {
		return "", err
	}
	return digestKind + ":" + hex.EncodeToString(h.Sum(nil)), nil
}

// unless waits for the trees and returns want without the regions that were
// found to be zero together with the ends of files. It must be asked for the
// regions of l in ascending order.
func (d *digestion) unless(l *Ledger, want func(Region) bool) (func(Region) bool, error) {
	if err := d.trees.Wait(); err != nil {
		return nil, err
	}
	var zeros []disk.Extent
	for _, v := range l.Volumes {
		slices.Sort(d.zeros[v.Off])
		for _, at := range d.zeros[v.Off] {
			zeros = append(zeros, disk.Extent{Off: v.Off + at, Len: -at & (digestBlock - 1)})
		}
	}
	return func(g Region) bool {
		var zero bool
		var end int64
		zeros, end, zero = stretch(zeros, g.Off, g.End())
		return want(g) && (!zero || end < g.End())
	}, nil
}

// digestKind names how a digest is made: SHA-256 over what is told of each file
// and over the XXH3 of its content.
const digestKind = "sha256+xxh3"

// digestBlock is the unit, in bytes, in which stored bytes are hashed. No
// medium has smaller holes.
const digestBlock = 4096

type digester struct {
	h   hash.Hash
	buf []byte
}

func (d digester) field(values ...any) { field(d.h, values...) }

// field writes values so that no two lists of values share an encoding.
func field(w io.Writer, values ...any) {
	for _, v := range values {
		s := fmt.Sprint(v)
		fmt.Fprintf(w, "%d:%s", len(s), s)
	}
}

// stored hashes the regions whose bytes must not change at all. Holes are
// hashed by their absence: each data run is hashed with its place.
func (d digester) stored(ctx context.Context, r disk.Reader, l *Ledger) error {
	s := newScanner(r)
	volume := 0
	for _, g := range l.Regions {
		for volume < len(l.Volumes) && l.Volumes[volume].End() <= g.Off {
			volume++
		}
		walked := false
		if volume < len(l.Volumes) && l.Volumes[volume].Off <= g.Off {
			_, walked = l.Volumes[volume].fs.(Walker)
		}
		switch {
		case g.Class == Unknown || g.Class == BootCode:
		case g.Class.Dead() || walked || volume == len(l.Volumes) || g.Off < l.Volumes[volume].Off:
			// The table's own bytes change where its checksums are resealed;
			// readTable has verified what they say.
			continue
		}
		if err := d.bytes(ctx, s, g.Extent); err != nil {
			return err
		}
	}
	return nil
}

// bytes hashes the blocks of e that are not zero, with their places: whether
// zeros are stored or are a hole makes no difference.
func (d digester) bytes(ctx context.Context, s *scanner, e disk.Extent) error {
	for off := e.Off; off < e.End(); {
		run, err := s.next(off, e.End())
		if err != nil {
			return err
		}
		if run.Len == 0 {
			return nil
		}
		for at := run.Off; at < run.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			p := d.buf[:min(digestBlock-at%digestBlock, run.End()-at)]
			if err := ReadFull(s.r, p, at); err != nil {
				return err
			}
			d.block(p, at)
			at += int64(len(p))
		}
		off = run.End()
	}
	return nil
}

// block hashes p without the zeros around it.
func (d digester) block(p []byte, at int64) {
	rest := bytes.TrimLeft(p, "\x00")
	at += int64(len(p) - len(rest))
	rest = bytes.TrimRight(rest, "\x00")
	if len(rest) > 0 {
		d.field(at, len(rest))
		d.h.Write(rest)
	}
}
