package audit

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
)

// tarBlock is the unit of tar archives, in bytes, and tarMagic what stands at
// byte 257 of the first one (POSIX.1-2017, pax, "ustar Interchange Format").
const (
	tarBlock = 512
	tarMagic = "ustar"
	magicAt  = 257
)

func isTar(b []byte) bool {
	return len(b) == tarBlock && string(b[magicAt:magicAt+len(tarMagic)]) == tarMagic
}

// scanPacked scans up to limit bytes that were packed: the members of a tar
// archive by their names, or one file called name.
func (a *auditor) scanPacked(w *worker, r io.Reader, name string, limit int64, emit emitter) error {
	b := bufio.NewReaderSize(r, tarBlock)
	if head, _ := b.Peek(tarBlock); isTar(head) {
		left := &io.LimitedReader{R: b, N: limit}
		if err := a.scanTar(w, left, emit); errors.Is(err, errTooMuch) {
			return err
		}
		// What follows a damaged member is searched all the same.
		limit = left.N
	}
	if _, err := a.scanStream(w, b, name, limit, emit); errors.Is(err, errTooMuch) {
		return err
	}
	return nil
}

// scanTar scans the members of a tar archive.
func (a *auditor) scanTar(w *worker, r *io.LimitedReader, emit emitter) error {
	t := tar.NewReader(r)
	// A sparse member is larger than what is stored of it.
	left := r.N
	for range maxMembers {
		h, err := t.Next()
		switch {
		case r.N <= 0 || left <= 0:
			return errTooMuch
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg || h.Size == 0:
			continue
		}
		n, _ := a.scanStream(w, t, h.Name, min(left, maxMember), emit)
		left -= n
	}
	return errTooMuch
}

// checkTar tries the rules of paths on the members of a live tar archive, whose
// content is searched as it is stored. One that is damaged is none.
func (a *auditor) checkTar(s source, emit emitter) error {
	r := io.NewSectionReader(s, 0, s.Len)
	t := tar.NewReader(r)
	head := make([]byte, headSize)
	for range maxMembers {
		h, err := t.Next()
		if err != nil {
			return nil
		}
		if h.Typeflag != tar.TypeReg || h.Size == 0 || !a.Rules.Named(rooted(h.Name)) {
			continue
		}
		n, _ := io.ReadFull(t, head[:min(h.Size, headSize)])
		at, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil
		}
		for _, m := range a.Rules.CheckPath(rooted(h.Name), head[:n]) {
			x := secretFinding(m.Rule, m.Match, at-int64(n))
			x.Inside = clean(h.Name)
			emit(x)
		}
	}
	return errTooMuch
}
