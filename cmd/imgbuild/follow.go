package main

import (
	"time"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/view"
	"github.com/imgbuild/imgbuild/fault"
)

// follow does a piece of work that is no build, with its progress on stderr as
// if it were a stage. What work tells needs neither time nor stage.
func (c *cli) follow(stage, title string, work func(tell builder.Listener) error) error {
	started := time.Now()
	v, err := view.New(view.Mode(c.progress), c.stderr, view.Options{Begin: started})
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	tell := func(e builder.Event) {
		e.Time, e.Stage = time.Now(), stage
		v.Event(e)
	}
	tell(builder.Event{Kind: builder.Started, Title: title})
	if err = work(tell); err == nil {
		tell(builder.Event{Kind: builder.Finished, Elapsed: time.Since(started)})
	} else {
		tell(builder.Event{Kind: builder.Failed, Error: err.Error(), Elapsed: time.Since(started)})
	}
	v.Event(builder.Completion(started, time.Now(), err))
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	if err != nil && view.Mode(c.progress) == view.JSON {
		err = reported{err} // by the last event
	}
	return err
}

// byteProgress tells how many bytes of a piece of work are done.
func byteProgress(tell builder.Listener) func(done, total int64) {
	return func(done, total int64) {
		tell(builder.Event{Kind: builder.Progress, Done: done, Total: total, Unit: builder.Bytes})
	}
}
