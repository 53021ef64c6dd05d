package disk

import (
	"errors"
	"io"
	"sync"
)

const (
	// cacheLine is what a cache reads at a time, in bytes.
	cacheLine = 16 << 10
	// cacheLines bounds the memory of a cache: 32 MiB, as much as the inodes of
	// a filesystem of 2 GiB, which are read in the order of paths.
	cacheLines = 2048
	// cacheable is the longest read that a cache serves, in bytes: records of
	// inodes lie side by side and are read one by one, blocks of directories
	// and contents of files are not.
	cacheable = 1 << 10
)

// Cached returns r with a cache for small reads, such as those of the
// structures of a filesystem. r must not change.
func Cached(r Reader) Reader {
	if c, ok := r.(*cache); ok {
		return c
	}
	return &cache{Reader: r}
}

// Uncached returns r without the cache below it: for contents, which are read
// once and would drive structures out.
func Uncached(r Reader) Reader {
	switch r := r.(type) {
	case *cache:
		return r.Reader
	case *section:
		return &section{Uncached(r.r), r.off, r.n}
	}
	return r
}

type cache struct {
	Reader
	lines [cacheLines]line
}

// line holds bytes of the disk. Its place among the lines follows from their
// offset.
type line struct {
	mu  sync.Mutex
	off int64
	buf []byte
}

// ReadAt implements [io.ReaderAt].
func (c *cache) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > cacheable || off < 0 || off > c.Size()-int64(len(p)) {
		return c.Reader.ReadAt(p, off)
	}
	done := 0
	for done < len(p) {
		n, err := c.fromLine(p[done:], off+int64(done))
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// fromLine copies what one line holds of p.
func (c *cache) fromLine(p []byte, off int64) (int, error) {
	number := off / cacheLine
	l, start := &c.lines[number%cacheLines], number*cacheLine
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off != start || len(l.buf) == 0 {
		size := min(cacheLine, c.Size()-start)
		if int64(cap(l.buf)) < size {
			l.buf = make([]byte, size)
		}
		l.off, l.buf = start, l.buf[:size]
		if n, err := c.Reader.ReadAt(l.buf, start); n < len(l.buf) {
			l.buf = l.buf[:0]
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	return copy(p, l.buf[off-start:]), nil
}
