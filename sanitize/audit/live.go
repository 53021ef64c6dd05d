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
	a.walked = make([]bool, len(a.ledger.Volumes))
	for i, v := range a.ledger.Volumes {
		walker, ok := v.Walker()
		if !ok {
			continue
		}
		produce := func(ctx context.Context, emit func(job) error) error {
			return walker.Walk(ctx, func(f sanitize.File) error {
				if f.Open == nil || f.Size == 0 {
					return nil
				}
				return emit(func(w *worker) result { return a.scanFile(w, i, f) })
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

// scanFile is the job of one live file.
func (a *auditor) scanFile(w *worker, volume int, f sanitize.File) result {
	v := a.ledger.Volumes[volume]
	res := result{found: newTally(maxChunkFindings), files: 1, cost: f.Size}
	fail := func(err error) result {
		res.problems = append(res.problems, Problem{Offset: v.Off, Path: clean(f.Path), Error: clean(err.Error())})
		return res
	}
	c, err := f.Open()
	if err != nil {
		return fail(err)
	}
	s := source{asReader{c}, disk.Extent{Len: f.Size}, f.Path}
	head := make([]byte, min(8, s.Len))
	if n, err := s.ReadAt(head, 0); n < len(head) {
		return fail(readError(err))
	}
	program := secret.IsProgram(head)
	emit := func(x Finding) {
		a.weigh(&x, f.Path, program)
		x.Class, x.Owner, x.FileOffset, x.volume = sanitize.Live, clean(f.Path), x.Offset, volume
		if at, ok := locate(c, x.FileOffset); ok {
			x.Offset, x.volume = v.Off+at, -1
		}
		res.found.add(x)
	}
	w.outer.unpack = nil
	if err := a.checkHead(s, emit); err != nil {
		return fail(err)
	}
	for own := range stored(c, f.Size) {
		_, spans, err := w.scan(a.live, s, own, emit)
		if err != nil {
			return fail(err)
		}
		for _, e := range spans {
			res.scanned += e.Len
		}
	}
	if err := a.unpack(w, s, head, emit); err != nil {
		return fail(err)
	}
	return res
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

// checkHead tries the rules of paths.
func (a *auditor) checkHead(s source, emit func(Finding)) error {
	if !a.Rules.WantsPath(s.path) {
		return nil
	}
	head := make([]byte, min(headSize, s.Len))
	if n, err := s.ReadAt(head, 0); n < len(head) {
		return readError(err)
	}
	for _, m := range a.Rules.CheckPath(s.path, head) {
		x := secretFinding(m.Rule, m.Match, 0)
		x.Length = s.Len
		emit(x)
	}
	return nil
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
// pieces of at most chunkSize that begin at even places.
func stored(c sanitize.Content, size int64) func(func(disk.Extent) bool) {
	l, known := c.(sanitize.Locator)
	return func(yield func(disk.Extent) bool) {
		for off := int64(0); off < size; {
			end := min(off+chunkSize, size)
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
	for _, g := range a.ledger.Regions {
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
		f.Offset = max(wanted[key(f.volume, f.Owner)], a.ledger.Volumes[f.volume].Off)
	}
}
