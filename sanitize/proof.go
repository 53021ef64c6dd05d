package sanitize

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// Proof is what a fresh look at a scrubbed image found.
type Proof struct {
	// OK means that every selected dead byte is zero, the regions sum to the
	// image and the live tree is what it was.
	OK bool `json:"ok"`
	// Size is that of the image, Accounted the sum of its regions, in bytes.
	Size      int64 `json:"size"`
	Accounted int64 `json:"accounted"`
	// Residue counts dead bytes that are not zero, FirstResidue is where the
	// first run of them begins; -1 without residue.
	Residue      int64 `json:"residue"`
	FirstResidue int64 `json:"firstResidue"`
	// Digest is that of the live tree now, Before the one it must equal. It
	// finds what was damaged; it is no proof against who would forge a file,
	// for contents go into it by their XXH3.
	Digest string `json:"digest"`
	Before string `json:"before"`
}

// Prove takes a fresh ledger of r and holds it to what a scrub with opts
// promises. before is the digest taken ahead of the scrub. The error, of
// kind [fault.Residue], says which promise does not hold; the proof is filled
// in as far as it got.
func Prove(ctx context.Context, r disk.Reader, opts Options, before string) (Proof, error) {
	p := Proof{Size: r.Size(), FirstResidue: -1, Before: before}
	l, digest, err := survey(ctx, r, opts.Drivers)
	if err != nil {
		return p, fmt.Errorf("proving the scrub: %w", err)
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() (err error) {
		p.Digest, err = digest.sum(ctx, r, l)
		return wrap("digesting the live tree", err)
	})
	tasks.Go(func() error { return p.lookForResidue(ctx, r, l, digest, opts) })
	if err := tasks.Wait(); err != nil {
		return p, fmt.Errorf("proving the scrub: %w", err)
	}
	err = p.verdict()
	p.OK = err == nil
	return p, err
}

// lookForResidue sums the regions and reads the dead ones, but for those that
// digest has read.
func (p *Proof) lookForResidue(ctx context.Context, r disk.Reader, l *Ledger, digest *digestion, opts Options) error {
	for _, g := range l.Regions {
		p.Accounted += g.Len
	}
	dead, err := digest.unless(l, func(g Region) bool { return opts.selects(g.Class) })
	if err != nil {
		return err
	}
	return count(ctx, r, l.Regions, dead, nil, func(_ int, t tally) {
		p.Residue += t.nonZero
		if t.nonZero > 0 && p.FirstResidue < 0 {
			p.FirstResidue = t.first
		}
	})
}

func (p Proof) verdict() error {
	var broken []error
	if p.Accounted != p.Size {
		broken = append(broken, fmt.Errorf("regions sum to %d bytes, the image has %d", p.Accounted, p.Size))
	}
	if p.Residue > 0 {
		broken = append(broken, fmt.Errorf("%d dead bytes are not zero, the first after byte %d", p.Residue, p.FirstResidue))
	}
	if p.Digest != p.Before {
		broken = append(broken, fmt.Errorf("the live tree digests to %s, before the scrub to %s", p.Digest, p.Before))
	}
	if len(broken) == 0 {
		return nil
	}
	return fault.New(fault.Residue, fmt.Errorf("proving the scrub: %w", errors.Join(broken...)),
		"do not publish this image; restore it from its source and report the filesystem's type")
}
