package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// deletedName is the rule of the names of deleted files.
const deletedName = "deleted-name"

// maxNames bounds the names that one volume is asked for.
const maxNames = 2_000_000

var errEnoughNames = errors.New("more names than are counted")

// readNames asks the filesystems for the names of deleted files.
func (a *auditor) readNames(ctx context.Context) error {
	for _, v := range a.ledger.Volumes {
		r, ok := v.Rememberer()
		if !ok {
			continue
		}
		n := 0
		err := r.Remnants(ctx, func(m sanitize.Remnant) error {
			if n++; n > maxNames {
				return errEnoughNames
			}
			f := Finding{
				Kind: Name, Rule: deletedName, Title: "name of a deleted file", Offset: v.Off + m.Off, Length: int64(len(m.Name)),
				Severity: secret.Low, Confidence: carve.High, Text: clean(m.Name), Detail: clean(m.Where), volume: -1,
			}
			g, ok := a.ledger.At(f.Offset)
			if !ok {
				return nil
			}
			f.Class, f.Owner = g.Class, clean(g.Owner)
			a.judge(&f)
			a.total.add(f)
			return ctx.Err()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			a.problem(Problem{Offset: v.Off, Error: fmt.Sprintf("reading deleted names: %v", err)})
		}
	}
	return nil
}
