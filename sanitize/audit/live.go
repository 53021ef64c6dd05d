package audit

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// headSize is how much of a file rules of paths see, in bytes.
const headSize = 64 << 10

// walkFiles reads the live files of every volume that can be walked.
func (a *auditor) walkFiles(ctx context.Context) error {
	a.walked = make([]bool, len(a.ledger.volumes))
	for i, v := range a.ledger.volumes {
		walker, ok := v.Walker()
		if !ok {
			continue
		}
		produce := func(ctx context.Context, emit func(job) error) error {
			return batches(ctx, walker, func(files []sanitize.File) error {
				return emit(func(w *worker) result { return a.scanFiles(w, i, files) })
			})
		}
		p := pool{workers: a.Workers, take: a.take}
		err := p.run(ctx, newWorker, produce)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// What is stored is scanned instead.
			a.problem(Problem{Offset: v.Off, Error: fmt.Sprintf("walking the files: %v", err)})
			continue
		}
		a.walked[i] = true
	}
	return nil
}

// Most files are small, and handing each to another goroutine costs as much as
// reading it: a job takes files of so many bytes together, and so many files.
const (
	batchSize  = windowSize
	batchFiles = 256
)

// batches calls fn with the files that hold something.
func batches(ctx context.Context, walker sanitize.Walker, fn func([]sanitize.File) error) error {
	var files []sanitize.File
	size := int64(0)
	err := walker.Walk(ctx, func(f sanitize.File) error {
		if f.Open == nil || f.Size == 0 {
			return nil
		}
		files = append(files, f)
		if size += f.Size; size < batchSize && len(files) < batchFiles {
			return nil
		}
		full := files
		files, size = nil, 0
		return fn(full)
	})
	if err == nil && len(files) > 0 {
		err = fn(files)
	}
	return err
}

// scanFiles is the job of some live files.
func (a *auditor) scanFiles(w *worker, volume int, files []sanitize.File) result {
	res := result{found: a.jobTally()}
	for _, f := range files {
		res.files++
		res.cost += f.Size
		if err := a.scanFile(w, volume, f, &res); err != nil {
			res.problems = append(res.problems, Problem{Offset: a.ledger.volumes[volume].Off, Path: clean(f.Path), Error: clean(err.Error())})
		}
	}
	return res
}

// scanFile looks at one live file.
func (a *auditor) scanFile(w *worker, volume int, f sanitize.File, res *result) error {
	c, err := f.Open()
	if err != nil {
		return err
	}
	s := source{asReader{c}, disk.Extent{Len: f.Size}, f.Path}
	// The first piece tells what the file is, and is most often all of it.
	first, err := w.read(s, disk.Extent{Len: min(s.Len, windowSize)})
	if err != nil {
		return err
	}
	var head [8]byte
	program := secret.IsProgram(head[:copy(head[:], first.Data)])
	emit := func(x Finding) bool {
		a.weigh(&x, f.Path, program)
		x.Class, x.Owner, x.FileOffset, x.volume = sanitize.Live, clean(f.Path), x.Offset, volume
		if at, ok := locate(c, x.FileOffset); ok {
			x.Offset, x.volume = a.ledger.volumes[volume].Off+at, -1
		}
		res.found.add(x)
		return true
	}
	w.outer.unpack = nil
	a.checkHead(s, first.Data[:min(len(first.Data), headSize)], emit)
	for own := range stored(c, f.Size) {
		win := first
		if own.Off > 0 {
			if win, err = w.read(s, own); err != nil {
				return err
			}
		}
		for _, e := range w.outer.search(a.live, win, own, f.Path, emit) {
			res.scanned += e.Len
		}
	}
	return a.unpack(w, s, head[:], emit)
}

// weigh lowers a secret in a manual or in the middle of a program: most are
// examples and keys for testing.
func (a *auditor) weigh(x *Finding, path string, program bool) {
	if x.Kind != Secret {
		return
	}
	var note string
	if x.Severity, note = a.Rules.Weigh(x.Rule, x.Severity, path, program); note != "" {
		x.Example = secret.InDocumentation(path)
		x.Detail = strings.TrimPrefix(x.Detail+", "+note, ", ")
	}
}

// checkHead tries the rules of paths on a file that begins with head.
func (a *auditor) checkHead(s source, head []byte, emit emitter) {
	for _, m := range a.Rules.CheckPath(s.path, head) {
		x := secretFinding(m.Rule, m.Match, 0)
		x.Length = s.Len
		emit(x)
	}
}

// asReader makes a content an io.ReaderAt; it is one but for the name.
type asReader struct{ sanitize.Content }

var _ io.ReaderAt = asReader{}

// locate finds where a byte of a file is stored.
func locate(c sanitize.Content, off int64) (int64, bool) {
	if l, ok := c.(sanitize.Locator); ok {
		if s, ok := l.Span(off); ok && s.At >= 0 {
			return s.At + off - s.Off, true
		}
	}
	return 0, false
}

// stored yields the parts of a file of size bytes that may hold data, in
// pieces of at most windowSize that begin at even places.
func stored(c sanitize.Content, size int64) func(func(disk.Extent) bool) {
	l, known := c.(sanitize.Locator)
	return func(yield func(disk.Extent) bool) {
		for off := int64(0); off < size; {
			end := min(off+windowSize, size)
			if known {
				if s, ok := l.Span(off); ok && s.Hole && s.Len > 0 {
					// An odd end would be a driver's fault.
					off = max(s.End()&^1, off+2)
					continue
				}
			}
			if !yield(disk.Extent{Off: off, Len: end - off}) {
				return
			}
			off = end
		}
	}
}

// locate gives findings in live files whose place no driver tells the place
// where the file begins.
func (a *auditor) locate() {
	wanted := map[string]int64{}
	key := func(volume int, path string) string { return strconv.Itoa(volume) + path }
	list := a.total.findings[Secret]
	for _, f := range list {
		if f.volume >= 0 {
			wanted[key(f.volume, f.Owner)] = -1
		}
	}
	if len(wanted) == 0 {
		return
	}
	for g := range a.ledger.regions {
		if g.Class != sanitize.Live && g.Class != sanitize.Metadata {
			continue
		}
		if i, ok := a.volumeAt(g.Off); ok {
			if off, ok := wanted[key(i, clean(g.Owner))]; ok && off < 0 {
				wanted[key(i, clean(g.Owner))] = g.Off
			}
		}
	}
	for i := range list {
		f := &list[i]
		if f.volume < 0 {
			continue
		}
		f.Offset = max(wanted[key(f.volume, f.Owner)], a.ledger.volumes[f.volume].Off)
	}
}
