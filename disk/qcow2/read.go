package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/lru"
)

const (
	cachedTables   = 16
	cachedClusters = 4
	// subclusters is how many a cluster has with extended L2 entries.
	subclusters = 32
)

// reader is a disk.Reader.
type reader struct {
	header
	r        io.ReaderAt
	n        int64
	l1       []uint64
	tables   *lru.Cache[[]uint64]
	unpacked *lru.Cache[[]byte]
}

// Open reads the image in the n bytes of r. It keeps the L1 table in memory,
// 8 bytes for each 512 MiB of the disk with clusters of the usual size.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) {
	h, err := parseHeader(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a qcow2 image: %w", err)
	}
	d := &reader{header: h, r: r, n: n, tables: lru.New[[]uint64](cachedTables), unpacked: lru.New[[]byte](cachedClusters)}
	// Entries beyond the size are no part of the disk.
	if d.l1, err = d.table(h.l1Offset, divUp(h.size, h.l1Span())); err != nil {
		return nil, fmt.Errorf("opening a qcow2 image: reading the L1 table: %w", err)
	}
	return d, nil
}

// table reads a table of 64-bit words.
func (d *reader) table(off, words int64) ([]uint64, error) {
	p := make([]byte, words*8)
	if got, err := d.r.ReadAt(p, off); got < len(p) {
		return nil, fmt.Errorf("reading %d bytes at %d: %w", len(p), off, orUnexpected(err))
	}
	t := make([]uint64, words)
	for i := range t {
		t[i] = binary.BigEndian.Uint64(p[i*8:])
	}
	return t, nil
}

// l2 returns the L2 table for an offset of the disk, or nil when all it covers
// is zero.
func (d *reader) l2(off int64) ([]uint64, error) {
	at := int64(d.l1[off/d.l1Span()] & offsetMask)
	if at == 0 {
		return nil, nil
	}
	if at%d.cluster() != 0 || at > d.n-d.cluster() {
		return nil, fmt.Errorf("the L2 table for byte %d is said to be at %d, in a file of %d bytes", off, at, d.n)
	}
	return d.tables.Get(at, func() ([]uint64, error) { return d.table(at, d.cluster()/8) })
}

// kind says what is behind a run of the disk.
type kind int

const (
	hole kind = iota
	plain
	packed
)

// place is where a run that begins at some offset lies. The run ends with its
// cluster or subcluster.
type place struct {
	kind  kind
	entry uint64 // the L2 entry
	len   int64
}

// find looks an offset up in the L2 table that covers it.
func (d *reader) find(l2 []uint64, off int64) place {
	i := off % d.l1Span() >> d.clusterBits * d.entryWords()
	p := place{entry: l2[i], len: d.cluster() - off%d.cluster()}
	switch {
	case p.entry&flagCompressed != 0:
		p.kind = packed
	case d.extended:
		// "Extended L2 Entries": bits 0-31 allocated, 32-63 reads as zero.
		size := d.cluster() / subclusters
		sub := uint(off % d.cluster() / size)
		p.len = size - off%size
		if l2[i+1]>>sub&1 != 0 && l2[i+1]>>(32+sub)&1 == 0 {
			p.kind = plain
		}
	case p.entry&flagZero == 0 && p.entry&offsetMask != 0:
		p.kind = plain
	}
	return p
}

func (d *reader) Size() int64 { return d.size }

func (d *reader) NextData(off int64) (disk.Extent, error) {
	if off < 0 {
		return disk.Extent{}, io.EOF
	}
	var run disk.Extent
	for off < d.size {
		l2, err := d.l2(off)
		if err != nil {
			return disk.Extent{}, err
		}
		end := min(off-off%d.l1Span()+d.l1Span(), d.size)
		if l2 == nil {
			off = end
		}
		for off < end {
			p := d.find(l2, off)
			if p.kind == hole && run.Len > 0 {
				return run, nil
			}
			p.len = min(p.len, end-off)
			if p.kind != hole {
				if run.Len == 0 {
					run.Off = off
				}
				run.Len += p.len
			}
			off += p.len
		}
		if run.Len > 0 {
			return run, nil
		}
	}
	return disk.Extent{}, io.EOF
}

func (d *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= d.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > d.size-off {
		p, eof = p[:d.size-off], io.EOF
	}
	for done := 0; done < len(p); {
		n, err := d.readRun(p[done:], off+int64(done))
		if err != nil {
			return done, fmt.Errorf("reading qcow2 byte %d: %w", off+int64(done), err)
		}
		done += n
	}
	return len(p), eof
}

// readRun reads up to the end of the cluster or subcluster, or of the hole
// that an L1 entry stands for.
func (d *reader) readRun(p []byte, off int64) (int, error) {
	l2, err := d.l2(off)
	if err != nil {
		return 0, err
	}
	if l2 == nil {
		n := min(d.l1Span()-off%d.l1Span(), int64(len(p)))
		clear(p[:n])
		return int(n), nil
	}
	at := d.find(l2, off)
	p = p[:min(at.len, int64(len(p)))]
	switch at.kind {
	case hole:
		clear(p)
	case plain:
		err = d.readPlain(p, int64(at.entry&offsetMask), off%d.cluster())
	case packed:
		var cluster []byte
		cluster, err = d.unpacked.Get(int64(at.entry), func() ([]byte, error) { return d.unpackCluster(at.entry) })
		if err == nil {
			copy(p, cluster[off%d.cluster():])
		}
	}
	return len(p), err
}

// readPlain reads from a cluster of the file. The last one may be cut short:
// what is missing reads as zero.
func (d *reader) readPlain(p []byte, cluster, off int64) error {
	if cluster%d.cluster() != 0 || cluster == 0 || cluster >= d.n {
		return fmt.Errorf("its cluster is said to be at %d, in a file of %d bytes", cluster, d.n)
	}
	n, err := d.r.ReadAt(p, cluster+off)
	clear(p[n:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unpackCluster follows the descriptor of a compressed cluster ("Compressed
// Clusters Descriptor"): x bits of offset, then the number of further sectors.
func (d *reader) unpackCluster(entry uint64) ([]byte, error) {
	x := 62 - (d.clusterBits - 8)
	off := int64(entry & (1<<x - 1))
	sectors := int64(entry &^ (flagCopied | flagCompressed) >> x)
	length := min((sectors+1)*disk.SectorSize-off%disk.SectorSize, d.n-off)
	if length <= 0 {
		return nil, fmt.Errorf("its compressed cluster is said to be at %d, in a file of %d bytes", off, d.n)
	}
	p := make([]byte, length)
	if got, err := d.r.ReadAt(p, off); got < len(p) {
		return nil, orUnexpected(err)
	}
	return d.compression.unpack(p, d.cluster())
}
