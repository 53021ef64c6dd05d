package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
	"github.com/imgbuild/imgbuild/disk/internal/lru"
)

const (
	cachedTables   = 16
	cachedClusters = 4
	// subclusters is how many a cluster has with extended L2 entries.
	subclusters = 32
	// maxRun bounds how far Find looks for the end of a hole, in bytes.
	maxRun = 64 << 20
)

// reader is the layer of an image.
type reader struct {
	header
	r io.ReaderAt
	n int64
	// data and dataSize are where clusters lie that are not compressed: the
	// image itself, unless they have a file of their own.
	data     io.ReaderAt
	dataSize int64
	l1       []uint64
	tables   *lru.Cache[[]uint64]
	unpacked *lru.Cache[[]byte]
}

// Open reads the image in the n bytes of r, which must be whole by itself.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) { return OpenWith(r, n, nil) }

// OpenWith reads the image in the n bytes of r. A backing file or an external
// data file is opened by others. It keeps the L1 table in memory, 8 bytes for
// each 512 MiB of the disk with clusters of the usual size.
func OpenWith(r io.ReaderAt, n int64, others disk.Opener) (disk.Reader, error) {
	d, err := open(r, n, others)
	if err != nil {
		return nil, fmt.Errorf("opening a qcow2 image: %w", err)
	}
	return d, nil
}

func open(r io.ReaderAt, n int64, opener disk.Opener) (disk.Reader, error) {
	h, err := parseHeader(r, n)
	if err != nil {
		return nil, err
	}
	names, err := h.readOthers(r, n)
	if err != nil {
		return nil, err
	}
	backing, data, err := names.open(opener)
	if err != nil {
		return nil, err
	}
	d := &reader{header: h, r: r, n: n, data: r, dataSize: n, tables: lru.New[[]uint64](cachedTables), unpacked: lru.New[[]byte](cachedClusters)}
	if data != nil {
		d.data, d.dataSize = data, data.Size()
	}
	// Entries beyond the size are no part of the disk.
	if d.l1, err = d.table(h.l1Offset, divUp(h.size, h.l1Span())); err != nil {
		return nil, fmt.Errorf("reading the L1 table: %w", err)
	}
	return layer.Reader("qcow2", d, backing), nil
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

// l2 returns the L2 table for an offset of the disk, or nil when the image
// holds nothing of what it covers.
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

// place is where a run that begins at some offset lies. The run ends with its
// cluster or subcluster.
type place struct {
	kind   layer.Kind
	packed bool
	entry  uint64 // the L2 entry
	len    int64
}

// find looks an offset up in the L2 table that covers it.
func (d *reader) find(l2 []uint64, off int64) place {
	i := off % d.l1Span() >> d.clusterBits * d.entryWords()
	p := place{entry: l2[i], len: d.cluster() - off%d.cluster()}
	switch {
	case p.entry&flagCompressed != 0:
		p.kind, p.packed = layer.Data, true
	case d.extended:
		// "Extended L2 Entries": bits 0-31 allocated, 32-63 reads as zero.
		size := d.cluster() / subclusters
		sub := uint(off % d.cluster() / size)
		p.len = size - off%size
		switch {
		case l2[i+1]>>(32+sub)&1 != 0:
			p.kind = layer.Zero
		case l2[i+1]>>sub&1 != 0:
			p.kind = layer.Data
		}
	case p.entry&flagZero != 0:
		p.kind = layer.Zero
	// In a file of its own the first cluster of data may be at 0; then the
	// flag tells it from none.
	case p.entry&offsetMask != 0, d.external && p.entry&flagCopied != 0:
		p.kind = layer.Data
	}
	return p
}

func (d *reader) Size() int64 { return d.size }

// Find implements layer.Layer.
func (d *reader) Find(off int64) (layer.Kind, int64, error) {
	l2, err := d.l2(off)
	if err != nil {
		return 0, 0, err
	}
	end := min(off-off%d.l1Span()+d.l1Span(), d.size)
	if l2 == nil {
		return layer.Absent, end - off, nil
	}
	p := d.find(l2, off)
	for at := off + p.len; at < end && p.len < maxRun; {
		next := d.find(l2, at)
		if next.kind != p.kind || p.kind == layer.Data {
			break
		}
		p.len, at = p.len+next.len, at+next.len
	}
	return p.kind, p.len, nil
}

// ReadData implements layer.Layer.
func (d *reader) ReadData(p []byte, off int64) error {
	l2, err := d.l2(off)
	if err != nil {
		return err
	}
	at := d.find(l2, off)
	if !at.packed {
		return d.readPlain(p, int64(at.entry&offsetMask), off%d.cluster())
	}
	cluster, err := d.unpacked.Get(int64(at.entry), func() ([]byte, error) { return d.unpackCluster(at.entry) })
	if err == nil {
		copy(p, cluster[off%d.cluster():])
	}
	return err
}

// readPlain reads from a cluster of the file. The last one may be cut short:
// what is missing reads as zero.
func (d *reader) readPlain(p []byte, cluster, off int64) error {
	if cluster%d.cluster() != 0 || cluster == 0 && !d.external || cluster >= d.dataSize {
		return fmt.Errorf("its cluster is said to be at %d, in a file of %d bytes", cluster, d.dataSize)
	}
	n, err := d.data.ReadAt(p, cluster+off)
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
