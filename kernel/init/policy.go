package main

import (
	"strconv"
	"syscall"
	"time"
)

const (
	window    = 10 * time.Minute // within which restarts are counted
	firstWait = 500 * time.Millisecond
	longWait  = 30 * time.Second
	settled   = time.Minute // an app that ran so long is restarted at once again
)

// policy decides whether an app that has ended is started again.
type policy struct {
	restart string // "never", "on-failure", "always"
	max     int    // restarts within the window; 0 means no bound
	past    []time.Time
	wait    time.Duration
}

// next returns how long to wait before the restart of an app that ended now
// after having run for a time. It is not again when the app has ended for
// good.
func (p *policy) next(now time.Time, ran time.Duration, status syscall.WaitStatus) (wait time.Duration, again bool) {
	switch {
	case p.restart == "always":
	case p.restart == "on-failure" && !(status.Exited() && status.ExitStatus() == 0):
	default:
		return 0, false
	}
	recent := p.past[:0]
	for _, t := range p.past {
		if now.Sub(t) < window {
			recent = append(recent, t)
		}
	}
	p.past = recent
	if p.max > 0 {
		if len(p.past) >= p.max {
			return 0, false
		}
		p.past = append(p.past, now)
	}
	if ran >= settled || p.wait == 0 {
		p.wait = firstWait
	} else {
		p.wait = min(2*p.wait, longWait)
	}
	return p.wait, true
}

// ending tells how the app ended, in the words of the contract.
func ending(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + strconv.Itoa(int(status.Signal()))
	}
	return "status " + strconv.Itoa(status.ExitStatus())
}
