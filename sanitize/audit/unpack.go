package audit

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// Bounds on what is unpacked of one archive.
const (
	maxMember  = 64 << 20 // bytes of one member
	maxMembers = 20_000
	maxNested  = 16 << 20 // bytes of an archive in an archive that is compressed: it is held in memory
)

// errTooMuch ends an archive that unpacks to more than is looked at.
var errTooMuch = errors.New("the archive unpacks to more than is looked at")

// maxDirectory bounds what is read of the directory of a zip file, in bytes:
// all of it is held in memory.
const maxDirectory = 16 << 20

// budget is a reader that ends when enough was read.
type budget struct {
	io.ReaderAt
	left int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errTooMuch
	}
	return b.ReaderAt.ReadAt(p, off)
}

// zipNames are the endings of zip files that are live; others are not tried,
// whatever their content.
var zipNames = []string{".zip", ".jar", ".war", ".ear", ".apk", ".aar", ".whl", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".egg", ".nupkg"}

// isZip reports whether a file of this name is tried as a zip file.
func isZip(name string) bool { return slices.Contains(zipNames, strings.ToLower(path.Ext(name))) }

// unpack scans what a live archive that begins with head holds, and what zip
// files in zip files hold. An archive that is damaged is none.
func (a *auditor) unpack(w *worker, s source, head []byte, emit emitter) error {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")) && isZip(s.path):
		w.left = a.MaxUnpacked
		return a.unpackZip(w, s, zipDepth, emit)
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		return a.unpackGzip(w, s, emit)
	case path.Ext(s.path) == ".tar":
		return a.checkTar(s, emit)
	}
	return nil
}

// unpackDead scans what a recovered zip file holds. What is damaged yields
// what it can.
func (a *auditor) unpackDead(w *worker, s source, f Finding, emit func(Finding)) {
	if f.family != "zip" || f.Confidence < carve.Medium {
		return
	}
	part := source{io.NewSectionReader(s, f.Offset, f.Length), disk.Extent{Len: f.Length}, ""}
	// What is beyond a bound was deleted, and nobody asks for all of it.
	_ = a.unpackZip(w, part, zipDepth, func(x Finding) bool {
		x.Offset, x.Class, x.Owner = f.Offset, f.Class, f.Owner
		emit(x)
		return true
	})
}

// zipDepth is how many zip files may lie in each other: a jar holds its
// libraries, as those of Spring Boot do.
const zipDepth = 2

// unpackZip scans the members of a zip file, as long as w has something left.
func (a *auditor) unpackZip(w *worker, s source, depth int, emit emitter) error {
	b := &budget{s, maxDirectory}
	z, err := zip.NewReader(b, s.Len)
	if err != nil {
		if errors.Is(err, errTooMuch) {
			return err
		}
		return nil
	}
	b.left = math.MaxInt64
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	for i, m := range z.File {
		if i == maxMembers || w.left <= 0 {
			return errTooMuch
		}
		if depth > 1 && isZip(m.Name) {
			done, err := a.unpackNested(w, s, m, depth-1, emit)
			if err != nil {
				return err
			}
			if done {
				continue
			}
		}
		r, err := m.Open()
		if err != nil {
			continue
		}
		n, err := a.scanStream(w, r, m.Name, min(w.left, maxMember), emit)
		r.Close()
		if w.left -= n; errors.Is(err, errTooMuch) && w.left <= 0 {
			return err
		}
	}
	return nil
}

// unpackNested scans a zip file that is a member of another one. done is false
// when it is to be scanned as any other member.
func (a *auditor) unpackNested(w *worker, s source, m *zip.File, depth int, emit emitter) (done bool, err error) {
	in := source{nil, disk.Extent{Len: int64(m.UncompressedSize64)}, m.Name}
	switch {
	case m.Method == zip.Store && m.UncompressedSize64 == m.CompressedSize64:
		off, err := m.DataOffset()
		if err != nil || in.Len < 0 || off > s.Len || in.Len > s.Len-off {
			return false, nil
		}
		in.ReaderAt = io.NewSectionReader(s, off, in.Len)
	case m.UncompressedSize64 <= maxNested:
		r, err := m.Open()
		if err != nil {
			return false, nil
		}
		defer r.Close()
		all, err := io.ReadAll(io.LimitReader(r, min(maxNested, w.left)))
		w.left -= int64(len(all))
		if err != nil {
			return false, nil
		}
		in.ReaderAt, in.Len = bytes.NewReader(all), int64(len(all))
	default:
		return false, nil
	}
	return true, a.unpackZip(w, in, depth, func(x Finding) bool {
		x.Inside = clean(m.Name + "!" + x.Inside)
		return emit(x)
	})
}

// unpackGzip scans what a gzip file holds.
func (a *auditor) unpackGzip(w *worker, s source, emit emitter) error {
	var err error
	packed := io.NewSectionReader(s, 0, s.Len)
	if w.gzip == nil {
		w.gzip, err = gzip.NewReader(packed)
	} else {
		err = w.gzip.Reset(packed)
	}
	if err != nil {
		w.gzip = nil
		return nil
	}
	name := w.gzip.Name
	if name == "" {
		name = strings.TrimSuffix(path.Base(s.path), ".gz")
	}
	return a.scanPacked(w, w.gzip, name, a.MaxUnpacked, emit)
}

// streamWindow is how much of a stream is in memory, in bytes.
const streamWindow = 1 << 20

// rooted is the path of a member, as if its archive were the root.
func rooted(name string) string { return path.Clean("/" + name) }

// scanStream scans up to limit bytes of a member called name, and returns how
// many it read. Findings have their offsets in the archive's place.
func (a *auditor) scanStream(w *worker, r io.Reader, name string, limit int64, emit emitter) (int64, error) {
	if len(w.stream) == 0 {
		w.stream = make([]byte, lookBack+streamWindow+lookAhead)
	}
	place := func(x Finding) bool {
		x.Inside = clean(name)
		if x.Offset > 0 {
			x.Inside = fmt.Sprintf("%s at byte %d", x.Inside, x.Offset)
		}
		x.Offset = 0
		return emit(x)
	}
	// base is the offset of the first byte of the window, done where the scan
	// goes on, have the end of what is known.
	var base, done, have int64
	for first := true; ; first = false {
		n, err := io.ReadFull(r, w.stream[have-base:])
		have += int64(n)
		if first {
			for _, m := range a.Rules.CheckPath(rooted(name), w.stream[:min(have, headSize)]) {
				place(secretFinding(m.Rule, m.Match, 0))
			}
		}
		last := err != nil
		end := have
		if !last {
			end -= lookAhead
		}
		win := carve.Window{Data: w.stream[:have-base], Off: base, Start: base, End: have}
		w.inner.search(a.live, win, disk.Extent{Off: done, Len: end - done}, rooted(name), place)
		done = end
		switch {
		case last:
			return have, nil
		case have >= limit:
			return have, errTooMuch
		}
		keep := done - lookBack - base
		copy(w.stream, w.stream[keep:have-base])
		base += keep
	}
}
