package squashfs

import "sync"

// cache keeps the blocks that were unpacked last, by where they lie. It is safe
// for concurrent use; what it returns must not be changed.
type cache struct {
	mu    sync.Mutex
	max   int
	order []int64 // the oldest first
	found map[int64]unpacked
}

// unpacked is a block, and where the next one lies.
type unpacked struct {
	content []byte
	next    int64
}

func newCache(n int) *cache { return &cache{max: n, found: map[int64]unpacked{}} }

// get returns the block at a place, which load reads when it is not there.
// Concurrent calls for one place may each load it.
func (c *cache) get(at int64, load func() (unpacked, error)) (unpacked, error) {
	c.mu.Lock()
	u, ok := c.found[at]
	c.mu.Unlock()
	if ok {
		return u, nil
	}
	u, err := load()
	if err != nil {
		return u, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.found[at]; !ok {
		if len(c.order) == c.max {
			delete(c.found, c.order[0])
			c.order = c.order[1:]
		}
		c.order, c.found[at] = append(c.order, at), u
	}
	return u, nil
}
