package sanitize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/imgbuild/imgbuild/disk"
)

// Digest hashes what a scrub must leave as it is: the live tree of each
// volume (paths, modes, owners, times, targets, extended attributes, content),
// and every byte that is unknown or boot code. A volume whose driver is no
// [Walker] counts with all its live bytes and metadata as they are stored.
func Digest(ctx context.Context, r disk.Reader, l *Ledger) (string, error) {
	h := sha256.New()
	d := digester{h: h, buf: make([]byte, scanBuffer)}
	for _, v := range l.Volumes {
		w, ok := v.fs.(Walker)
		if !ok {
			continue
		}
		d.field("volume", v.Off, v.Len, v.Type)
		if err := digestTree(ctx, h, w); err != nil {
			return "", fmt.Errorf("walking the %s volume at byte %d: %w", v.Type, v.Off, err)
		}
	}
	if err := d.stored(ctx, r, l); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

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
