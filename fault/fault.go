// Package fault gives errors the two things a person or a CI job needs beside
// the message: a kind, which decides the exit code, and a hint, which says
// what to do next.
//
// A package that knows why something went wrong wraps the error once:
//
//	return fault.New(fault.Input, err, "run `imgbuild lock` to accept the new file")
//
// Everything above passes it on with %w. The command line asks [KindOf] and
// [HintsOf] at the very end; nothing else branches on them.
package fault

import (
	"context"
	"errors"
)

// Kind tells apart the failures that a caller can act upon. Its value is the
// exit code of the process.
type Kind int

// The kinds and their exit codes.
const (
	Stage       Kind = 1   // a stage failed
	Usage       Kind = 2   // wrong use of the command line
	Recipe      Kind = 3   // the recipe is invalid
	Input       Kind = 4   // an input is missing or differs from its lock
	Residue     Kind = 5   // residue, a secret, or a byte without an owner
	Check       Kind = 6   // a test or a budget failed
	Publish     Kind = 7   // publishing failed; nothing was left behind
	Environment Kind = 8   // space, permission or a program is lacking
	Interrupted Kind = 130 // the user or a signal stopped the run
)

// Error is an error with a kind and hints.
type Error struct {
	Kind  Kind
	Err   error
	Hints []string
}

// New wraps err with a kind and hints. A nil err gives nil.
func New(kind Kind, err error, hints ...string) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, Err: err, Hints: hints}
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the wrapped error to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost fault in err. An error without one
// is a failed stage; a cancelled context is an interruption.
func KindOf(err error) Kind {
	var f *Error
	if errors.As(err, &f) {
		return f.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Stage
}

// HintsOf collects the hints of every fault in the chain of err, outermost
// first.
func HintsOf(err error) []string {
	var hints []string
	for err != nil {
		var f *Error
		if !errors.As(err, &f) {
			break
		}
		hints = append(hints, f.Hints...)
		err = f.Err
	}
	return hints
}
