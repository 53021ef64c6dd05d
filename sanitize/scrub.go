package sanitize

import (
	"context"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// Options say what a scrub may do.
type Options struct {
	// Drivers are asked in this order; see sanitize/drivers.
	Drivers []Driver
	// Only, unless empty, limits the scrub to these dead classes. Except
	// takes classes away.
	Only, Except []Class
	// Anew tells that the result will be taken from [Plan.Reader]: then nobody
	// needs to look at what a dead run holds, where it is at least a block.
	Anew bool
	// DryRun reports what a scrub would do and writes nothing.
	DryRun bool
}

// selects reports whether a region of class c is to be zeroed.
func (o Options) selects(c Class) bool {
	return c.Dead() && (len(o.Only) == 0 || slices.Contains(o.Only, c)) && !slices.Contains(o.Except, c)
}

func (o Options) validate() error {
	for _, c := range slices.Concat(o.Only, o.Except) {
		if c > Gap || !c.Dead() {
			return fault.New(fault.Usage, fmt.Errorf("class %q is not dead", c), "choose among free, slack, stale and gap")
		}
	}
	return nil
}

// Scrub zeroes what the ledger of w calls dead, reseals the checksums around
// it and proves the result, all in place. A second run changes nothing; a run
// that was cut off is finished by running again. See [Plan] for its parts.
//
// The error wraps [ErrRefused] when a filesystem must not be scrubbed as it
// is; then nothing was written. A report that comes with an error is complete
// up to the proof that failed.
func Scrub(ctx context.Context, w disk.Writer, opts Options) (*Report, error) {
	p, err := Prepare(ctx, w, opts)
	if err != nil {
		return nil, err
	}
	if opts.DryRun {
		return p.Report, nil
	}
	if err := p.Apply(ctx, w); err != nil {
		return nil, err
	}
	// Not p.Prove, which would keep two ledgers in memory.
	report := p.Report
	proof, err := Prove(ctx, w, opts, p.Report.Live)
	report.Proof = &proof
	return report, err
}
