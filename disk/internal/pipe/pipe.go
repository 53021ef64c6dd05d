// Package pipe compresses blocks on all cores and hands the results on in the
// order in which the blocks came, with bounded memory.
package pipe

import (
	"runtime"
	"sync"
)

// Packer compresses one block behind dst and returns the extended slice. It is
// used by one goroutine.
type Packer func(dst, block []byte) ([]byte, error)

// Pipe is a row of blocks on their way through the packers.
type Pipe struct {
	emit  func(off int64, block, packed []byte) error
	idle  chan *job
	work  chan *job
	order chan *job
	done  sync.WaitGroup

	mu  sync.Mutex
	err error
}

// job is a block and what became of it.
type job struct {
	off           int64
	block, packed []byte
	err           error
	ready         chan struct{}
}

// New starts a pipe. newPacker is called once for each core. emit gets every
// block with its packed form, one at a time and in order, from a goroutine of
// the pipe; it may use both slices during the call only. The output depends
// on neither the number of cores nor timing.
func New(newPacker func() (Packer, error), emit func(off int64, block, packed []byte) error) (*Pipe, error) {
	const plenty = 8
	return NewBounded(1<<16, plenty, newPacker, emit)
}

// NewBounded is [New] for blocks so large that memory counts: it uses at most
// so many cores, and holds so many blocks for each.
func NewBounded(maxCores, each int, newPacker func() (Packer, error), emit func(off int64, block, packed []byte) error) (*Pipe, error) {
	cores := min(runtime.GOMAXPROCS(0), maxCores)
	packers := make([]Packer, cores)
	for i := range packers {
		var err error
		if packers[i], err = newPacker(); err != nil {
			return nil, err
		}
	}
	jobs := each * cores
	p := &Pipe{emit: emit, idle: make(chan *job, jobs), work: make(chan *job, jobs), order: make(chan *job, jobs)}
	for range jobs {
		p.idle <- &job{ready: make(chan struct{}, 1)}
	}
	for _, pack := range packers {
		p.done.Go(func() {
			for j := range p.work {
				j.packed, j.err = pack(j.packed[:0], j.block)
				j.ready <- struct{}{}
			}
		})
	}
	p.done.Go(p.drain)
	return p, nil
}

// drain emits what is ready. After a failure it only takes jobs back.
func (p *Pipe) drain() {
	for j := range p.order {
		<-j.ready
		if p.failure() == nil {
			err := j.err
			if err == nil {
				err = p.emit(j.off, j.block, j.packed)
			}
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
		}
		p.idle <- j
	}
}

func (p *Pipe) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Submit copies a block into the pipe. It waits while the pipe is full. The
// error is that of an earlier block.
func (p *Pipe) Submit(off int64, block []byte) error {
	j := <-p.idle
	if err := p.failure(); err != nil {
		p.idle <- j
		return err
	}
	j.off, j.block = off, append(j.block[:0], block...)
	p.order <- j
	p.work <- j
	return nil
}

// Close waits for all blocks and returns the first error. Nothing may be
// submitted after it; a second Close is not allowed.
func (p *Pipe) Close() error {
	close(p.work)
	close(p.order)
	p.done.Wait()
	return p.err
}
