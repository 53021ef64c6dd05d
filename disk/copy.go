package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	// windowSize is what is read, and handed to the sinks, at a time.
	windowSize = 1 << 20
	// windows is the number of windows in flight. It bounds both the memory
	// of a copy and how far a fast sink runs ahead of a slow one.
	windows = 8
)

// Copy reads src once and writes its data into every sink. See [CopyAll]; the
// errors of the sinks are joined.
func Copy(ctx context.Context, src Reader, progress func(done int64), sinks ...Sink) error {
	return errors.Join(CopyAll(ctx, src, progress, sinks...)...)
}

// CopyAll reads src once and writes its data into every sink. Holes are not
// read, and blocks of zeros are not written: a sink must begin as all zeros.
//
// It returns one error for each sink, in their order. A sink that fails does
// not disturb the others. When src cannot be read or ctx ends, all sinks that
// had not failed get that error. CopyAll does not close the sinks.
//
// progress, which may be nil, is called with the offset up to which src was
// read, in bytes, the last time with its size.
func CopyAll(ctx context.Context, src Reader, progress func(done int64), sinks ...Sink) []error {
	c := &copier{src: src, free: make(chan *window, windows)}
	for range windows {
		c.free <- &window{}
	}
	results := make([]chan error, len(sinks))
	for i, s := range sinks {
		queue := make(chan *window, windows)
		c.queues = append(c.queues, queue)
		results[i] = make(chan error, 1)
		c.alive.Add(1)
		go func() { results[i] <- c.feed(s, queue) }()
	}
	readErr := c.read(ctx, progress)
	for _, queue := range c.queues {
		close(queue)
	}
	errs := make([]error, len(sinks))
	for i := range sinks {
		if errs[i] = <-results[i]; errs[i] == nil {
			errs[i] = readErr
		}
	}
	return errs
}

// window is a buffer that all sinks share for reading. The last to release it
// gives it back.
type window struct {
	buf  []byte
	off  int64    // of buf on the disk
	runs []Extent // the data in buf, as offsets on the disk
	refs atomic.Int32
}

type copier struct {
	src    Reader
	free   chan *window
	queues []chan *window
	alive  atomic.Int32 // sinks that have not failed
}

// errNoSinks ends the reading early; every sink has an error of its own then.
var errNoSinks = errors.New("all sinks failed")

// read fills windows and hands each to all queues. It waits for a free window
// and never for a queue, which has room for all windows.
func (c *copier) read(ctx context.Context, progress func(int64)) error {
	for off := int64(0); off < c.src.Size(); {
		if c.alive.Load() == 0 {
			return errNoSinks
		}
		e, err := nextData(c.src, off)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the disk: %w", err)
		}
		var w *window
		select {
		case w = <-c.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		off, err = w.fill(c.src, max(off, e.Off&^(windowSize-1)))
		if err != nil {
			return fmt.Errorf("reading the disk: %w", err)
		}
		w.refs.Store(int32(len(c.queues)))
		for _, queue := range c.queues {
			queue <- w
		}
		if progress != nil {
			progress(off)
		}
	}
	if progress != nil {
		progress(c.src.Size())
	}
	return ctx.Err()
}

// fill reads the data between off and the next multiple of the window size,
// which it returns.
func (w *window) fill(src Reader, off int64) (int64, error) {
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	w.off, w.runs = off, w.runs[:0]
	end := min(off&^(windowSize-1)+windowSize, src.Size())
	for off < end {
		e, err := nextData(src, off)
		if errors.Is(err, io.EOF) || err == nil && e.Off >= end {
			break
		}
		if err != nil {
			return 0, err
		}
		// Widened to whole blocks, so that what the sinks get depends on the
		// content alone and not on how src tells of it.
		from := max(e.Off&^(BlockSize-1), off)
		to := min((e.End()+BlockSize-1)&^(BlockSize-1), end)
		p := w.buf[from-w.off : to-w.off]
		if err := readFull(src, p, from); err != nil {
			return 0, err
		}
		DataRuns(p, from, func(run Extent) { w.runs = append(w.runs, run) })
		off = to
	}
	return end, nil
}

// readFull reads all of p; io.EOF before its end is an error.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at offset %d: %w", len(p), off, err)
}

// feed writes windows into one sink. After a failure it goes on taking them,
// so that they come back to the reader.
func (c *copier) feed(s Sink, queue <-chan *window) error {
	var failed error
	for w := range queue {
		if failed == nil {
			if failed = w.writeTo(s); failed != nil {
				c.alive.Add(-1)
			}
		}
		if w.refs.Add(-1) == 0 {
			c.free <- w
		}
	}
	return failed
}

func (w *window) writeTo(s Sink) error {
	for _, run := range w.runs {
		if _, err := s.WriteAt(w.buf[run.Off-w.off:][:run.Len], run.Off); err != nil {
			return err
		}
	}
	return nil
}
