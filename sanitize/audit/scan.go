package audit

import (
	"encoding/binary"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// block is the unit, in bytes, in which zeros are left out and texts begin.
const block = 4096

// maxChunkFindings bounds the findings of each kind that one job keeps.
const maxChunkFindings = 8192

// worker is the memory of one goroutine.
type worker struct {
	buf   []byte
	outer *searcher
	inner *searcher // of what an archive holds, while outer goes on
	// stream holds a part of what is unpacked; it is made when first needed.
	stream []byte
	// gzip unpacks live files; it is made when first needed.
	gzip *gzip.Reader
	// left is how many bytes one job may still unpack of recovered archives.
	left int64
}

// searcher looks for anchors and measures what they lead to.
type searcher struct {
	view *carve.View
	hits []hit
	// sound are the files of the window that were found and told, ascending;
	// ends are where the last of each type ended.
	sound []disk.Extent
	ends  []int64
	// waiting are secrets of generic rules, ascending, and secretEnd is where
	// the last secret of another rule ends: one tells more than the other.
	waiting   []Finding
	secretEnd int64
	// unpack, unless nil, is given what gzip data at a place holds.
	unpack func(at int64, name string, r io.Reader)
}

func newWorker() *worker {
	return &worker{
		buf:   make([]byte, lookBack+windowSize+lookAhead),
		outer: &searcher{view: carve.NewView(carve.Window{})}, inner: &searcher{view: carve.NewView(carve.Window{})},
	}
}

// hit is a place where an anchor stands.
type hit struct {
	seeker int
	at     int64 // where the anchor begins in the source
}

// source is a stretch of bytes to scan.
type source struct {
	io.ReaderAt
	disk.Extent
	// path is that of the live file; "" for bytes of the disk.
	path string
}

// emitter is told what is found. It reports whether that stands.
type emitter func(Finding) bool

// scan looks at the bytes of own, which lie in s. emit is told what is found,
// with offsets in the source. It returns what was read, and where the blocks
// are in it that are not zero.
func (w *worker) scan(set *scanSet, s source, own disk.Extent, emit emitter) (carve.Window, []disk.Extent, error) {
	window, err := w.read(s, own)
	if err != nil {
		return window, nil, err
	}
	return window, w.outer.search(set, window, own, s.path, emit), nil
}

// read reads the bytes of own, and as much around them as a chunk holds of its
// neighbours.
func (w *worker) read(s source, own disk.Extent) (carve.Window, error) {
	from := max(own.Off-lookBack, s.Off) &^ 1
	to := min(own.End()+lookAhead, s.End())
	buf := w.buf[:to-from]
	if n, err := s.ReadAt(buf, from); n < len(buf) {
		if int64(n) < own.End()-from {
			return carve.Window{}, readError(err)
		}
		buf = buf[:n]
	}
	return carve.Window{Data: buf, Off: from, Start: s.Off, End: s.End(), Rest: s.ReaderAt}, nil
}

// readError is err, or what a reader that returns less should have said.
func readError(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// search looks at the bytes of own in a window, and returns where they are
// not zero.
func (s *searcher) search(set *scanSet, win carve.Window, own disk.Extent, path string, emit emitter) (spans []disk.Extent) {
	s.view.Reset(win)
	s.hits, s.sound = s.hits[:0], s.sound[:0]
	for span := range nonZero(win, own) {
		spans = append(spans, disk.Extent{Off: win.Off + int64(span[0]), Len: int64(span[1] - span[0])})
		set.Find(win.Data, span[0], span[1], func(anchor, pos int) {
			s.hits = append(s.hits, hit{anchor, win.Off + int64(pos)})
		})
		if len(s.hits) > maxHits {
			s.measure(set, path, emit)
		}
	}
	s.measure(set, path, emit)
	if set.carving {
		s.texts(win, own, emit)
	}
	return spans
}

// maxKeyFile is the most that a file of keys takes, in bytes; a larger one is
// of all kinds of things, such as a dump of a memory.
const maxKeyFile = 1 << 20

// maxHits bounds the anchors that wait to be measured.
const maxHits = 64 << 10

// nonZero yields the ranges of win.Data within own, in whole blocks of the
// source, that hold other bytes than zero. Ranges begin at even places.
func nonZero(win carve.Window, own disk.Extent) func(func([2]int) bool) {
	return func(yield func([2]int) bool) {
		start := -1
		for at := own.Off; at < own.End(); {
			end := min((at/block+1)*block, own.End())
			from, to := int(at-win.Off), int(end-win.Off)
			zero := disk.IsZero(win.Data[from:to])
			if !zero && start < 0 {
				start = from
			}
			if zero && start >= 0 {
				if !yield([2]int{start, from}) {
					return
				}
				start = -1
			}
			at = end
		}
		if start >= 0 {
			yield([2]int{start, int(own.End() - win.Off)})
		}
	}
}

// measure follows the hits, in the order of where their files begin.
func (s *searcher) measure(set *scanSet, path string, emit emitter) {
	if len(s.hits) == 0 {
		return
	}
	v := s.view
	slices.SortFunc(s.hits, func(a, b hit) int {
		x, y := a.at-set.seekers[a.seeker].at, b.at-set.seekers[b.seeker].at
		if x != y {
			return int(min(max(x-y, -1), 1))
		}
		return a.seeker - b.seeker
	})
	s.ends = append(s.ends[:0], make([]int64, len(set.types))...)
	s.secretEnd = 0
	told := int64(0)
	for _, h := range s.hits {
		k := set.seekers[h.seeker]
		start := h.at - k.at
		if start%k.unit != 0 || !v.MoveTo(start) {
			continue
		}
		if k.rule != nil {
			if m, ok := k.rule.Check(v, path); ok {
				s.secret(secretFinding(k.rule, m, start), k.rule.Generic, emit)
			}
			continue
		}
		if start < s.ends[k.typ] {
			continue
		}
		t := set.types[k.typ]
		f, ok := s.look(t, start)
		if !ok {
			continue
		}
		if f.Confidence >= carve.Medium {
			s.ends[k.typ] = start - f.Back + f.Size
		}
		if set.carving && emit(fileFinding(t, f, start-f.Back)) && f.Confidence >= carve.Medium {
			s.sound = append(s.sound, disk.Extent{Off: start - f.Back, Len: f.Size})
		}
		// One key is wrapped in another's form: the outer one is told.
		if r := set.rules.ByFile(t.Name); r != nil && f.Confidence >= carve.Medium && start >= told {
			if f.Size <= maxKeyFile {
				told = start - f.Back + f.Size
			}
			s.secret(fileSecret(r, f, start-f.Back, !set.carving), false, emit)
		}
	}
	for _, f := range s.waiting {
		emit(f)
	}
	s.hits, s.waiting = s.hits[:0], s.waiting[:0]
}

// secret tells a secret at once, unless its rule is generic: then it waits for
// one that says more. They come in the order of their places.
func (s *searcher) secret(f Finding, generic bool, emit emitter) {
	if generic {
		if n := len(s.waiting); f.Offset >= s.secretEnd && (n == 0 || f.Offset >= s.waiting[n-1].End()) {
			s.waiting = append(s.waiting, f)
		}
		return
	}
	s.secretEnd = max(s.secretEnd, f.End())
	if n := len(s.waiting); n > 0 && s.waiting[n-1].End() > f.Offset {
		s.waiting = s.waiting[:n-1]
	}
	emit(f)
}

// look measures a file, and has gzip data scanned in the same go:
// decompressing costs more than all else.
func (s *searcher) look(t carve.Type, start int64) (carve.Found, bool) {
	if t.Name != "gz" || s.unpack == nil {
		return t.Measure(s.view)
	}
	return carve.Gzip(s.view, func(name string, r io.Reader) { s.unpack(start, name, r) })
}

// texts looks for texts at the beginning of blocks where none goes on, and
// that are not of a file which was found there.
func (s *searcher) texts(win carve.Window, own disk.Extent, emit emitter) {
	v := s.view
	covered, next := int64(0), 0
	for at := (own.Off + block - 1) / block * block; at+8 < own.End(); at += block {
		for ; next < len(s.sound) && s.sound[next].Off <= at; next++ {
			covered = max(covered, s.sound[next].End())
		}
		i := at - win.Off
		if at < covered || binary.LittleEndian.Uint64(win.Data[i:]) == 0 || at > win.Start && i > 0 && carve.IsText(win.Data[i-1:i]) {
			continue
		}
		if !v.MoveTo(at) {
			continue
		}
		if f, ok := carve.Text(v); ok {
			emit(fileFinding(carve.Type{Name: "txt", Title: "plain text"}, f, at))
		}
	}
}
