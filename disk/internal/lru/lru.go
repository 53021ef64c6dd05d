// Package lru keeps the few tables and clusters of a container that were used
// last.
package lru

import "sync"

// Cache keeps the n entries used last. It is safe for concurrent use.
type Cache[V any] struct {
	mu      sync.Mutex
	entries []entry[V] // the one used last first
	max     int
}

type entry[V any] struct {
	key   int64
	value V
}

// New returns a cache for n entries; n is small, as lookups are linear.
func New[V any](n int) *Cache[V] { return &Cache[V]{max: n} }

// Get returns the value of a key, which load makes when it is not there.
// Values are shared and must not be changed. Concurrent calls for one key may
// each load it.
func (c *Cache[V]) Get(key int64, load func() (V, error)) (V, error) {
	if v, ok := c.find(key); ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) < c.max {
		c.entries = append(c.entries, entry[V]{})
	}
	copy(c.entries[1:], c.entries)
	c.entries[0] = entry[V]{key, v}
	return v, nil
}

func (c *Cache[V]) find(key int64) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.entries {
		if e.key == key {
			copy(c.entries[1:i+1], c.entries[:i])
			c.entries[0] = e
			return e.value, true
		}
	}
	return v, false
}
