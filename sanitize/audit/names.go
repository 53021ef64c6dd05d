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

// names is what the filesystems tell of deleted files.
type names struct {
	found     *tally
	forbidden int64
	problems  []Problem
	err       error
}

// readNames asks the filesystems for the names of deleted files, while the
// data is read.
func (a *auditor) readNames(ctx context.Context) <-chan names {
	done := make(chan names, 1)
	go func() {
		n := names{found: newTally(a.MaxFindings)}
		n.err = n.read(ctx, a)
		done <- n
	}()
	return done
}

// takeNames waits for the names and adds them to the whole.
func (a *auditor) takeNames(done <-chan names) error {
	n := <-done
	for _, p := range n.problems {
		a.problem(p)
	}
	a.forbidden += n.forbidden
	a.total.merge(n.found, func(*Finding) bool { return true })
	return n.err
}

func (n *names) read(ctx context.Context, a *auditor) error {
	for _, v := range a.ledger.volumes {
		r, ok := v.Rememberer()
		if !ok {
			continue
		}
		count := 0
		err := r.Remnants(ctx, func(m sanitize.Remnant) error {
			if count++; count > maxNames {
				return errEnoughNames
			}
			f := Finding{
				Kind: Name, Rule: deletedName, Title: "name of a deleted file", Offset: v.Off + m.Off, Length: int64(len(m.Name)),
				Severity: secret.Low, Confidence: carve.High, Text: clean(m.Name), Detail: clean(m.Where), volume: -1,
			}
			i := a.ledger.at(f.Offset)
			if i < 0 {
				return nil
			}
			g := a.ledger.region(i)
			f.Class, f.Owner = g.Class, clean(g.Owner)
			if a.judge(&f) {
				n.forbidden++
			}
			n.found.add(f)
			return ctx.Err()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			n.problems = append(n.problems, Problem{Offset: v.Off, Error: fmt.Sprintf("reading deleted names: %v", err)})
		}
	}
	return nil
}
