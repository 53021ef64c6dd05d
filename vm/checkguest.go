package vm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/recipes"
)

// bootProbe waits for an event of the boot and asks the guest's clock, which
// the lines of init tell.
func (r *Running) bootProbe(c recipes.BootCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		var t Timeline
		reached := map[string]func() (*Moment, float64){
			config.LineUp:        func() (*Moment, float64) { return t.Up, t.GuestUp },
			config.LineStarted:   func() (*Moment, float64) { return t.Started, t.GuestStarted },
			config.LineListening: func() (*Moment, float64) { return t.Ready, t.GuestReady },
		}[c.Until]
		if reached == nil {
			return "", fmt.Errorf("a boot does not end with %q", c.Until)
		}
		err := r.follow(ctx, func(s *story) bool {
			t = s.timeline
			m, _ := reached()
			return m != nil
		})
		if err != nil {
			return "", r.missing("no line of init says "+c.Until, err)
		}
		_, clock := reached()
		took := time.Duration(clock * float64(time.Second)).Round(time.Millisecond)
		if limit := time.Duration(c.AtMost); took > limit {
			return "", fmt.Errorf("%s after %v of the guest's time, which is more than %v", c.Until, took, limit)
		}
		return fmt.Sprintf("%s after %v of the guest's time", c.Until, took), nil
	}
}

// listenProbe waits until every port is open. Whether no other is, shows only
// at the end: see [Running.closed].
func (r *Running) listenProbe(c recipes.ListenCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		missing := c.Ports
		err := r.follow(ctx, func(s *story) bool {
			missing = without(c.Ports, s.ports)
			return s.timeline.Started != nil && len(missing) == 0
		})
		switch {
		case err == nil:
			return "listens on " + portList(c.Ports), nil
		case len(missing) > 0:
			return "", r.missing("the guest does not listen on "+portList(missing), err)
		}
		return "", r.missing("the app was not started", err)
	}
}

// follow tells the story of the console from its beginning, until enough of it
// is told. The machine's own story may be a line behind the console.
func (r *Running) follow(ctx context.Context, enough func(*story) bool) error {
	var s story
	_, err := r.console.Wait(ctx, func(l Line) bool {
		s.see(l.Text, Moment{Wall: l.At.Seconds()})
		return enough(&s)
	})
	return err
}

// openPorts are the ports that the guest was seen to listen on so far.
func (r *Running) openPorts() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.story.ports)
}

// closed fails the listen checks of a guest that listened on other ports as
// well. It is asked when the guest has said all that it will say.
func (r *Running) closed(list []recipes.Check, results []Result) {
	for i, c := range list {
		if c.Listen == nil || !results[i].OK {
			continue
		}
		if extra := without(r.openPorts(), c.Listen.Ports); len(extra) > 0 {
			results[i].OK = false
			results[i].Detail = fmt.Sprintf("the guest listens on %s too", portList(extra))
		}
	}
}

// absentProbe looks for a file on the disk.
func (r *Running) absentProbe(c recipes.AbsentCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		if r.options.Disk == "" {
			return "", errors.New("the machine has no disk")
		}
		found, looked, err := findFile(ctx, r.options.Disk, c.Path)
		if err != nil {
			return "", err
		}
		if found != "" {
			return "", fmt.Errorf("the disk holds %s", found)
		}
		return fmt.Sprintf("not among %d files", looked), nil
	}
}
