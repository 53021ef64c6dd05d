package diff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/imgbuild/imgbuild/sanitize"
)

const (
	// contentBuffer is what is read of a file at a time, in bytes.
	contentBuffer = 256 << 10
	// maxHoles is how many bytes of holes are hashed: they read as zeros, of
	// which a file may claim terabytes.
	maxHoles = 1 << 30
)

// contents compares files. It is used by one goroutine.
type contents struct {
	Options
	buf [2][]byte
}

func newContents(o Options) *contents {
	return &contents{Options: o, buf: [2][]byte{make([]byte, contentBuffer), make([]byte, contentBuffer)}}
}

// compare returns what became of the file at a path, nil for nothing.
func (c *contents) compare(ctx context.Context, p pair) (*FileChange, error) {
	a, b := p.file[0], p.file[1]
	change := &FileChange{Path: p.path, Change: Changed, A: state(a), B: state(b)}
	switch {
	case a == nil:
		change.Change = Added
		return change, nil
	case b == nil:
		change.Change = Removed
		return change, nil
	case kindOf(a) != kindOf(b):
		change.What = append(change.What, "type")
	default:
		differ, err := c.differ(ctx, a, b)
		if err != nil {
			return nil, fmt.Errorf("comparing %s: %w", p.path, err)
		}
		if differ {
			change.What = append(change.What, "content")
			for i, s := range []*FileState{change.A, change.B} {
				if s.SHA256, err = c.digest(ctx, *p.file[i]); err != nil {
					return nil, fmt.Errorf("hashing %s: %w", p.path, err)
				}
			}
		}
	}
	if a.Target != b.Target {
		change.What = append(change.What, "target")
	}
	change.What = append(change.What, c.attributes(change.A, change.B)...)
	if !c.ignores(Xattrs) && !maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal) {
		change.What = append(change.What, string(Xattrs))
	}
	if len(change.What) == 0 {
		return nil, nil
	}
	return change, nil
}

// differ reports whether the contents of two files of the same type differ.
func (c *contents) differ(ctx context.Context, a, b *sanitize.File) (bool, error) {
	if a.Open == nil || b.Open == nil {
		return false, nil
	}
	if a.Size != b.Size {
		return true, nil
	}
	var open [2]sanitize.Content
	for i, f := range []*sanitize.File{a, b} {
		var err error
		if open[i], err = f.Open(); err != nil {
			return false, err
		}
	}
	for off := int64(0); off < a.Size; {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if end := min(holeEnd(open[0], off), holeEnd(open[1], off)); end > off {
			off = end
			continue
		}
		n := min(contentBuffer, a.Size-off)
		for i := range open {
			if err := sanitize.ReadFull(open[i], c.buf[i][:n], off); err != nil {
				return false, err
			}
		}
		if !bytes.Equal(c.buf[0][:n], c.buf[1][:n]) {
			return true, nil
		}
		off += n
	}
	return false, nil
}

// holeEnd returns the end of the hole at off, or off when there is none.
func holeEnd(c sanitize.Content, off int64) int64 {
	if l, ok := c.(sanitize.Locator); ok {
		if s, ok := l.Span(off); ok && s.Hole {
			return max(off, s.End())
		}
	}
	return off
}

// digest hashes the content of a file: "" for one that has none, or more than
// maxHoles bytes of holes.
func (c *contents) digest(ctx context.Context, f sanitize.File) (string, error) {
	if f.Open == nil {
		return "", nil
	}
	content, err := f.Open()
	if err != nil {
		return "", err
	}
	var holes int64
	h := sha256.New()
	for off := int64(0); off < f.Size; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if end := min(holeEnd(content, off), f.Size); end > off {
			if holes += end - off; holes > maxHoles {
				return "", nil
			}
			clear(c.buf[0])
			for off < end {
				n := min(contentBuffer, end-off)
				h.Write(c.buf[0][:n])
				off += n
			}
			continue
		}
		p := c.buf[0][:min(contentBuffer, f.Size-off)]
		if err := sanitize.ReadFull(content, p, off); err != nil {
			return "", err
		}
		h.Write(p)
		off += int64(len(p))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
