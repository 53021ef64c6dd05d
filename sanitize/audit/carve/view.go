package carve

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Bounds on what measuring one file may cost.
const (
	pageSize  = 64 << 10 // the unit of reading beyond the window, in bytes
	maxPages  = 2048     // reads for one file
	maxSearch = 16 << 20 // bytes that one search for an end looks at
	// searchStep is what one step of a search looks at, in bytes.
	searchStep = 64 << 10
	maxWork    = 64       // bytes of work on all files of a window, for each of its bytes
	leastWork  = 64 << 20 // the least work on a window, in bytes
)

// Window is a part of a source that is in memory, and the way to the rest.
type Window struct {
	// Data are the bytes from Off on.
	Data []byte
	Off  int64
	// Start and End bound what may be read: a run of bytes that belong
	// together.
	Start, End int64
	// Rest reads what is not in Data; nil when there is nothing else.
	Rest io.ReaderAt
}

// View is a source from the beginning of one file on. A View serves one
// goroutine, and many files one after the other.
type View struct {
	w     Window
	at    int64 // where the file begins
	page  []byte
	off   int64 // of page
	reads int
	work  int64 // that is left for the window
	// gzip and what it reads through are kept from one file to the next.
	gzip   *gzip.Reader
	packed *bufio.Reader
}

// NewView returns a view of w.
func NewView(w Window) *View {
	v := &View{}
	v.Reset(w)
	return v
}

// Reset makes v a view of w and keeps its buffer.
func (v *View) Reset(w Window) {
	v.w, v.off, v.reads = w, -1, 0
	v.work = max(maxWork*int64(len(w.Data)), leastWork)
}

// spend takes n bytes of work off what the window may cost, and reports
// whether it was there: a window full of beginnings must not be searched to
// its end from each of them.
func (v *View) spend(n int64) bool {
	v.work -= n
	return v.work >= 0
}

// MoveTo moves the view to the file that begins at byte at of the source. It
// reports whether that may be read.
func (v *View) MoveTo(at int64) bool {
	v.at, v.reads = at, 0
	return at >= v.w.Start && at < v.w.End
}

// At returns where in the source the view begins.
func (v *View) At() int64 { return v.at }

// Before returns how many bytes of the run lie ahead of the view.
func (v *View) Before() int64 { return v.at - v.w.Start }

// Len returns how many bytes follow.
func (v *View) Len() int64 { return v.w.End - v.at }

// Bytes returns n bytes at byte off of the file; off may be negative. It
// returns nil when they are not there, or when the file has cost enough. The
// bytes are valid up to the next call.
func (v *View) Bytes(off int64, n int) []byte {
	at := v.at + off
	if n < 0 || n > pageSize/2 || at < v.w.Start || at > v.w.End-int64(n) {
		return nil
	}
	if i := at - v.w.Off; i >= 0 && i+int64(n) <= int64(len(v.w.Data)) {
		return v.w.Data[i : i+int64(n)]
	}
	if i := at - v.off; v.off >= 0 && i >= 0 && i+int64(n) <= int64(len(v.page)) {
		return v.page[i : i+int64(n)]
	}
	if v.load(at); len(v.page) < n {
		return nil
	}
	return v.page[:n]
}

// load reads the page that begins at byte at of the source.
func (v *View) load(at int64) {
	v.page, v.off = v.page[:0], at
	if v.reads++; v.w.Rest == nil || v.reads > maxPages || !v.spend(pageSize) {
		return
	}
	if cap(v.page) < pageSize {
		v.page = make([]byte, 0, pageSize)
	}
	p := v.page[:min(pageSize, v.w.End-at)]
	n, _ := v.w.Rest.ReadAt(p, at)
	v.page = p[:n]
}

// some returns as many bytes at byte off as are at hand without copying, at
// least one unless the file ends.
func (v *View) some(off int64) []byte {
	at := v.at + off
	if at < v.w.Start || at >= v.w.End {
		return nil
	}
	if i := at - v.w.Off; i >= 0 && i < int64(len(v.w.Data)) {
		return v.w.Data[i:min(int64(len(v.w.Data)), v.w.End-v.w.Off)]
	}
	if i := at - v.off; v.off >= 0 && i >= 0 && i < int64(len(v.page)) {
		return v.page[i:]
	}
	v.load(at)
	return v.page
}

// Index returns where text is at or after byte off of the file, or -1. It
// gives up after [maxSearch] bytes, and where stop, unless empty, comes first.
func (v *View) Index(off int64, text, stop string) int64 {
	for end := off + maxSearch; off < end; {
		b := v.some(off)
		b = b[:min(len(b), searchStep)]
		if len(b) == 0 || !v.spend(int64(len(b))) {
			return -1
		}
		i := bytes.Index(b, []byte(text))
		if stop != "" {
			limit := b
			if i >= 0 {
				limit = b[:i]
			}
			if bytes.Contains(limit, []byte(stop)) {
				return -1
			}
		}
		if i >= 0 {
			return off + int64(i)
		}
		// What is searched for may straddle the border.
		keep := int64(max(len(text), len(stop)) - 1)
		step := int64(len(b)) - keep
		if step <= 0 {
			p := v.Bytes(off, int(keep)+1)
			if p == nil {
				return -1
			}
			if string(p[:len(text)]) == text {
				return off
			}
			step = 1
		}
		off += step
	}
	return -1
}

// ReadAt reads the file; a read is bounded as all of a view's are. It follows
// io.ReaderAt.
func (v *View) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		b := v.some(off + int64(done))
		if off < 0 || len(b) == 0 {
			return done, io.EOF
		}
		done += copy(p[done:], b)
	}
	return done, nil
}
