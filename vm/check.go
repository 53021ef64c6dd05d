package vm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/recipes"
)

// Result is the outcome of one check.
type Result struct {
	// Check names it: "http 8080/health".
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Elapsed is from the start of the machine to the outcome, in seconds.
	Elapsed float64 `json:"elapsed"`
	// Detail is what was seen, or why the check failed.
	Detail string `json:"detail,omitempty"`
}

// Checks are what to ask of a machine.
type Checks struct {
	List []recipes.Check
	// Ready matches the console line after which the guest's ports are
	// tried. When nil, it is init's line "started": QEMU accepts connections
	// long before a guest listens, and trying then only disturbs its boot.
	Ready *regexp.Regexp
}

// Check makes all checks at the same time and returns when each has its
// outcome. The Within of a check counts from the start of the machine, in the
// time of this host; on Xen, from the moment that the guest was created, and ten
// times as long. A guest that ends, halts or panics ends every check that
// waits for it.
func (r *Running) Check(ctx context.Context, c Checks) *Report {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-r.over:
			cancel(r.ending())
		case <-ctx.Done():
		}
	}()
	report := &Report{Accel: r.options.Accel, Reason: r.reason, Results: make([]Result, len(c.List))}
	var all sync.WaitGroup
	for i, check := range c.List {
		all.Go(func() { report.Results[i] = r.check(ctx, c.Ready, check) })
	}
	all.Wait()
	r.closed(c.List, report.Results)
	report.note(r)
	return report
}

// Test makes all checks, and then switches the machine off by its power button,
// which is one more check when all others succeeded. It ends with the machine.
func (r *Running) Test(ctx context.Context, c Checks) *Report {
	defer r.Kill()
	report := r.Check(ctx, c)
	if report.OK() && ctx.Err() == nil {
		pressed := time.Now()
		result := Result{Check: "power off", OK: true}
		if err := r.Stop(ctx); err != nil {
			result.OK, result.Detail = false, err.Error()
		} else {
			result.Detail = fmt.Sprintf("in order, within %.1f s", time.Since(pressed).Seconds())
		}
		result.Elapsed = r.since().Seconds()
		report.Results = append(report.Results, result)
		// What the guest opened late, it told when it was stopped.
		r.closed(c.List, report.Results)
	}
	report.note(r)
	return report
}

// note takes down what the machine tells beside the checks.
func (rep *Report) note(r *Running) {
	rep.Timeline = r.Timeline()
	rep.Phases = rep.Timeline.Phases()
	rep.Console = nil
	for _, l := range r.console.Tail(reportLines) {
		rep.Console = append(rep.Console, l.Text)
	}
}

// probeFunc makes a check, again and again when it has to, until ctx ends. The
// text is what was seen.
type probeFunc func(ctx context.Context) (string, error)

// check makes one check within its time.
func (r *Running) check(ctx context.Context, ready *regexp.Regexp, c recipes.Check) Result {
	name, within, probe := r.probeOf(ready, c)
	if within <= 0 {
		within = recipes.DefaultWithin
	}
	limit := time.Duration(within)
	deadline := r.start.Add(limit)
	if r.xen != nil {
		deadline, limit = r.xen.deadline(ctx, limit)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, deadline, fmt.Errorf("not within %v", limit))
	defer cancel()
	detail, err := probe(ctx)
	result := Result{Check: name, OK: err == nil, Elapsed: r.since().Seconds(), Detail: detail}
	if err != nil {
		result.Detail = err.Error()
	}
	return result
}

// probeOf takes a check of a recipe apart.
func (r *Running) probeOf(ready *regexp.Regexp, c recipes.Check) (name string, within recipes.Duration, probe probeFunc) {
	switch {
	case c.HTTP != nil:
		h := *c.HTTP
		return fmt.Sprintf("http %d%s", h.Port, pathOf(h)), h.Within, r.afterReady(ready, r.httpProbe(h))
	case c.TCP != nil:
		return tcpName(*c.TCP), c.TCP.Within, r.afterReady(ready, r.tcpProbe(*c.TCP))
	case c.Console != nil:
		return "console " + c.Console.Match, c.Console.Within, r.consoleProbe(*c.Console)
	case c.Exit != nil:
		return fmt.Sprintf("exit %d", c.Exit.Status), c.Exit.Within, r.exitProbe(*c.Exit)
	case c.Listen != nil:
		return "listen on " + portList(c.Listen.Ports), c.Listen.Within, r.listenProbe(*c.Listen)
	case c.Boot != nil:
		return fmt.Sprintf("boot %s %v", c.Boot.Until, time.Duration(c.Boot.AtMost)), c.Boot.Within, r.bootProbe(*c.Boot)
	case c.Absent != nil:
		return "absent " + c.Absent.Path, 0, r.absentProbe(*c.Absent)
	}
	return "empty", 0, func(context.Context) (string, error) { return "", errors.New("the check asks for nothing") }
}

// tcpName tells two questions to one port apart.
func tcpName(c recipes.TCPCheck) string {
	if c.Send == "" {
		return fmt.Sprintf("tcp %d", c.Port)
	}
	return fmt.Sprintf("tcp %d %q", c.Port, c.Send)
}

// afterReady holds a probe back until the guest is ready, and notes the first
// answer.
func (r *Running) afterReady(ready *regexp.Regexp, probe probeFunc) probeFunc {
	if ready == nil {
		ready = regexp.MustCompile("^" + config.Prefix + config.LineStarted + " ")
	}
	return func(ctx context.Context) (string, error) {
		if _, err := r.console.Wait(ctx, func(l Line) bool { return ready.MatchString(l.Text) }); err != nil {
			return "", r.missing("the app was not started", err)
		}
		detail, err := probe(ctx)
		if err == nil {
			now := r.Now()
			r.mu.Lock()
			first(&r.story.timeline.Answered, now)
			r.mu.Unlock()
		}
		return detail, err
	}
}

// consoleProbe waits for a line.
func (r *Running) consoleProbe(c recipes.ConsoleCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		match, err := regexp.Compile(c.Match)
		if err != nil {
			return "", fmt.Errorf("reading the pattern: %w", err)
		}
		line, err := r.console.Wait(ctx, func(l Line) bool { return match.MatchString(l.Text) })
		if err != nil {
			return "", r.missing("no such line", err)
		}
		return line.Text, nil
	}
}

// exitProbe waits for the first end of the app.
func (r *Running) exitProbe(c recipes.ExitCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		var got *Status
		_, err := r.console.Wait(ctx, func(l Line) bool {
			if m := ending.FindStringSubmatch(l.Text); m != nil && m[1] == config.LineExited {
				got = status(m[2])
			}
			return got != nil
		})
		if err != nil {
			return "", r.missing("the app did not end", err)
		}
		if *got != (Status{Code: c.Status}) {
			return "", fmt.Errorf("the app ended with %v", got)
		}
		return got.String(), nil
	}
}

// missing says what did not come and what came instead.
func (r *Running) missing(what string, err error) error {
	if errors.Is(err, ErrConsoleClosed) {
		err = r.ending()
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ending says how the machine came to nothing more being expected of it.
func (r *Running) ending() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	app := ""
	if r.story.status != nil {
		app = ", the app with " + r.story.status.String()
	}
	switch {
	case r.story.failure != "":
		return errors.New(r.story.failure)
	case r.err != nil:
		return r.err
	case r.story.halted:
		return fmt.Errorf("the guest halted%s", app)
	}
	return fmt.Errorf("the machine ended (%s)%s", r.exit.Reason, app)
}
