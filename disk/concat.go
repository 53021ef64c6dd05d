package disk

import (
	"errors"
	"io"
	"sort"
)

// Concat returns one disk of several, one behind the other. [Section] of the
// same disk more than once makes a map of it.
func Concat(parts ...Reader) Reader {
	c := &concat{}
	for _, p := range parts {
		if p.Size() == 0 {
			continue
		}
		c.parts = append(c.parts, p)
		c.starts = append(c.starts, c.size)
		c.size += p.Size()
	}
	return c
}

type concat struct {
	parts  []Reader
	starts []int64 // where each part begins
	size   int64
}

func (c *concat) Size() int64 { return c.size }

// find returns the index of the part that holds the byte at off.
func (c *concat) find(off int64) int {
	return sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
}

func (c *concat) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		i := c.find(off)
		in := off - c.starts[i]
		n := min(int64(len(p)-done), c.parts[i].Size()-in)
		got, err := c.parts[i].ReadAt(p[done:done+int(n)], in)
		done, off = done+got, off+int64(got)
		if int64(got) < n {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (c *concat) NextData(off int64) (Extent, error) {
	if off < 0 || off >= c.size {
		return Extent{}, io.EOF
	}
	for i := c.find(off); i < len(c.parts); i++ {
		e, err := c.parts[i].NextData(max(off-c.starts[i], 0))
		if errors.Is(err, io.EOF) {
			continue
		}
		e.Off += c.starts[i]
		return e, err
	}
	return Extent{}, io.EOF
}
