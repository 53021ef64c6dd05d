package disk

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// leafBlocks is the number of blocks in a leaf of a Memory: 1 MiB.
const leafBlocks = 256

const leafSize = leafBlocks * BlockSize

// Memory is a sparse disk in memory, for tests and small disks. It takes the
// space of the blocks that were written. It is a [Writer] and a [Sink], and
// safe for concurrent use.
type Memory struct {
	size int64

	mu     sync.RWMutex
	leaves map[int64]*leaf
	order  []int64 // the keys of leaves, ascending
}

// leaf holds the blocks of 1 MiB; those that were not written are nil.
type leaf [leafBlocks][]byte

// NewMemory returns a disk of size bytes that is one hole.
func NewMemory(size int64) *Memory {
	return &Memory{size: max(size, 0), leaves: map[int64]*leaf{}}
}

// Size returns the size in bytes.
func (m *Memory) Size() int64 { return m.size }

// ReadAt implements [io.ReaderAt].
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= m.size {
		return 0, io.EOF
	}
	var err error
	if int64(len(p)) > m.size-off {
		p, err = p[:m.size-off], io.EOF
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	eachBlock(off, int64(len(p)), func(at, n int64) {
		dst := p[at-off:][:n]
		if b := m.block(at); b != nil {
			copy(dst, b[at%BlockSize:])
		} else {
			clear(dst)
		}
	})
	return len(p), err
}

// NextData implements [Reader].
func (m *Memory) NextData(off int64) (Extent, error) {
	if off < 0 || off >= m.size {
		return Extent{}, io.EOF
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	i, _ := slices.BinarySearch(m.order, off/leafSize)
	for ; i < len(m.order); i++ {
		start, l := m.order[i]*leafSize, m.leaves[m.order[i]]
		first := int(max(off-start, 0) / BlockSize)
		for first < leafBlocks && l[first] == nil {
			first++
		}
		last := first
		for last < leafBlocks && l[last] != nil {
			last++
		}
		if last > first {
			from := max(off, start+int64(first)*BlockSize)
			to := min(m.size, start+int64(last)*BlockSize)
			return Extent{Off: from, Len: to - from}, nil
		}
	}
	return Extent{}, io.EOF
}

// WriteAt implements [io.WriterAt]. It does not make the disk larger.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if err := checkRange("writing", off, int64(len(p)), m.size); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	eachBlock(off, int64(len(p)), func(at, n int64) {
		src := p[at-off:][:n]
		b := m.block(at)
		if b == nil {
			if IsZero(src) {
				return
			}
			b = m.newBlock(at)
		}
		copy(b[at%BlockSize:], src)
	})
	return len(p), nil
}

// Punch implements [Writer]. Its cost does not depend on the length of holes.
func (m *Memory) Punch(off, n int64) error {
	if err := checkRange("punching", off, n, m.size); err != nil {
		return err
	}
	for end := off + n; off < end; {
		run, err := m.NextData(off)
		if errors.Is(err, io.EOF) || err == nil && run.Off >= end {
			return nil
		}
		if err != nil {
			return err
		}
		run.Len = min(run.End(), end) - run.Off
		m.drop(run)
		off = run.End()
	}
	return nil
}

// drop zeroes a run within one leaf; whole blocks are given back.
func (m *Memory) drop(run Extent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	eachBlock(run.Off, run.Len, func(at, n int64) {
		if n == BlockSize || at+n == m.size && at%BlockSize == 0 {
			m.leaves[at/leafSize][at%leafSize/BlockSize] = nil
		} else if b := m.block(at); b != nil {
			clear(b[at%BlockSize:][:n])
		}
	})
}

// Close does nothing; it makes Memory a [Sink].
func (m *Memory) Close() error { return nil }

// block returns the block that holds the byte at off, or nil in a hole.
func (m *Memory) block(off int64) []byte {
	l := m.leaves[off/leafSize]
	if l == nil {
		return nil
	}
	return l[off%leafSize/BlockSize]
}

func (m *Memory) newBlock(off int64) []byte {
	key := off / leafSize
	l := m.leaves[key]
	if l == nil {
		l = new(leaf)
		m.leaves[key] = l
		i, _ := slices.BinarySearch(m.order, key)
		m.order = slices.Insert(m.order, i, key)
	}
	b := make([]byte, BlockSize)
	l[off%leafSize/BlockSize] = b
	return b
}

// eachBlock splits a range at the borders of blocks.
func eachBlock(off, n int64, do func(at, n int64)) {
	for end := off + n; off < end; {
		step := min(BlockSize-off%BlockSize, end-off)
		do(off, step)
		off += step
	}
}
