package btrfs

import (
	"context"
	"fmt"
	"math"
)

// lastKey is behind every key.
var lastKey = key{math.MaxUint64, math.MaxUint8, math.MaxUint64}

// nodesKept is how many tree blocks a scanner remembers: inodes that are asked
// for one after the other mostly lie in the same.
const nodesKept = 128

// scanner finds items by their keys. The place of a tree block among those that
// it remembers follows from the block's address.
type scanner struct {
	f     *filesystem
	nodes [nodesKept]struct {
		root
		*node
	}
}

// node returns the block that p points at.
func (s *scanner) node(p root) (*node, error) {
	kept := &s.nodes[uint64(p.logical/s.f.nodeSize)%nodesKept]
	if kept.node != nil && kept.root == p {
		return kept.node, nil
	}
	n, err := s.f.readNode(p)
	if err == nil {
		kept.root, kept.node = p, n
	}
	return n, err
}

// scan calls fn for each item of the tree with a key from lo to hi.
func (s *scanner) scan(ctx context.Context, p root, lo, hi key, fn func(item) error) error {
	return s.scanBelow(ctx, p, key{}, lastKey, lo, hi, fn)
}

// scanBelow scans a part of a tree, whose keys must lie in [from, to): then no
// block is met twice.
func (s *scanner) scanBelow(ctx context.Context, p root, from, to, lo, hi key, fn func(item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := s.node(p)
	if err != nil {
		return err
	}
	for _, it := range n.items {
		if it.compare(from) < 0 || it.compare(to) >= 0 {
			return fmt.Errorf("the items of tree block %d are out of order", p.logical)
		}
		from = it.key
		if it.compare(lo) >= 0 && it.compare(hi) <= 0 {
			if err := fn(it); err != nil {
				return err
			}
		}
	}
	for i, c := range n.children {
		end := to
		if i+1 < len(n.children) {
			end = n.children[i+1].key
		}
		if c.compare(from) < 0 || c.compare(end) >= 0 {
			return fmt.Errorf("the pointers of tree block %d are out of order", p.logical)
		}
		from = end
		if c.compare(hi) > 0 || end.compare(lo) <= 0 {
			continue
		}
		if err := s.scanBelow(ctx, c.root, c.key, end, lo, hi, fn); err != nil {
			return err
		}
	}
	return nil
}
