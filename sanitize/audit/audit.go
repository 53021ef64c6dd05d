// Package audit tells what a stranger could recover from an image, and whether
// it may be published.
//
//	report, err := audit.Run(ctx, image, audit.Options{Drivers: drivers.All(), Policy: policy})
//
// # What is looked at
//
// The ledger (package sanitize) says whose each byte is. What no live file
// owns is read once, in ascending order, holes and zeros left out: for files
// by their content (package carve) and for secrets (package secret). Live
// files are read through their filesystem, so that a secret is found however
// the file is stored, and named by its path. Archives are opened one level
// deep. Filesystems that can tell the names of deleted files are asked.
//
// # What comes out
//
// A [Report]: findings with their places, owners, severities and masked texts,
// sums by type, and the verdict of a [Policy]. The same image and the same
// rules give the same report, whatever the machine.
//
// # Bounds
//
// Memory does not grow with the image nor with the number of findings: what
// exceeds [Options.MaxFindings] is counted and left out. One carved file, one
// archive and one search cost at most what package carve and the constants
// here allow.
//
// This package imports neither builder nor stages.
package audit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// Options say what an audit looks for.
type Options struct {
	// Drivers are asked for the ledger, in this order.
	Drivers []sanitize.Driver
	// Rules find secrets.
	Rules *secret.Set
	// Allow lets findings pass.
	Allow []secret.Allow
	// Policy decides what is forbidden.
	Policy Policy
	// All carves in live files and metadata too.
	All bool
	// MaxFindings bounds the findings of each kind that are listed; 0 stands
	// for [DefaultFindings].
	MaxFindings int
	// MaxUnpacked bounds what is unpacked of one live archive, and of all that
	// are recovered in one chunk, in bytes; 0 stands for [DefaultUnpacked].
	MaxUnpacked int64
	// Workers is the number of goroutines; 0 stands for one for each
	// processor.
	Workers int
	// Progress, unless nil, is told how many of the bytes are done. It is
	// called by one goroutine at a time.
	Progress func(done, total int64)
	// Found, unless nil, is called for each finding in dead space, in their
	// order, before it is counted.
	Found func(Finding) error
}

// What stands for an option that is not set.
const (
	DefaultFindings = 20_000
	DefaultUnpacked = 256 << 20
)

// Run audits the image r.
func Run(ctx context.Context, r disk.Reader, opts Options) (*Report, error) {
	if opts.MaxFindings <= 0 {
		opts.MaxFindings = DefaultFindings
	}
	if opts.MaxUnpacked <= 0 {
		opts.MaxUnpacked = DefaultUnpacked
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	a := &auditor{Options: opts, disk: r, total: newTally(opts.MaxFindings)}
	a.dead, a.live = newScanSet(opts.Rules, true), newScanSet(opts.Rules, false)
	l, err := sanitize.Read(ctx, r, opts.Drivers, sanitize.ReadOptions{Tolerant: true})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	a.ledger = newAccount(l)
	// Reading the ledger takes more memory than all that follows. What is left
	// of it makes room now, so that the scan does not come on top.
	runtime.GC()
	if err := a.run(ctx); err != nil {
		return nil, err
	}
	return a.report(), nil
}

// auditor is one audit under way.
type auditor struct {
	Options
	disk       disk.Reader
	ledger     *account
	dead, live *scanSet
	total      *tally
	problems   []Problem
	maps       []*Map
	walked     []bool    // for each volume, whether its files were read
	scanned    int64     // bytes that were looked at
	files      int64     // live files that were read
	done       int64     // of the whole, for progress
	spare      sync.Pool // tallies of jobs that were taken
	forbidden  int64     // findings that the policy forbids
}

// Problem is a part of the image that could not be looked at as it should.
type Problem struct {
	// Offset is that of the volume.
	Offset int64  `json:"offset"`
	Path   string `json:"path,omitempty"`
	Error  string `json:"error"`
}

// maxProblems bounds the problems that are listed.
const maxProblems = 1000

func (a *auditor) problem(p Problem) {
	if len(a.problems) < maxProblems {
		a.problems = append(a.problems, p)
	}
}

// run makes all passes.
func (a *auditor) run(ctx context.Context) error {
	for _, v := range a.ledger.volumes {
		if v.Err != nil {
			a.problem(Problem{Offset: v.Off, Error: v.Err.Error()})
		}
	}
	a.drawMaps()
	names := a.readNames(ctx)
	err := a.walkFiles(ctx)
	if err == nil {
		err = a.scanRuns(ctx)
	}
	if err := errors.Join(err, a.takeNames(names)); err != nil {
		return err
	}
	a.locate()
	return nil
}
