package kernel

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"
	"github.com/xi2/xz"
)

// Compression is how a bzImage's payload is packed.
type Compression string

// The compressions that are understood. LZO, which kernels can also use, is
// not.
const (
	Gzip         Compression = "gzip"
	Bzip2        Compression = "bzip2"
	LZMA         Compression = "lzma"
	XZ           Compression = "xz"
	LZ4          Compression = "lz4"
	Zstd         Compression = "zstd"
	Uncompressed Compression = "none"
)

const (
	// maxUnpacked bounds an unpacked kernel; real ones take 20 to 80 MB.
	maxUnpacked = 256 << 20
	// maxWindow bounds what a decoder may keep: zstd -22 asks for 128 MiB.
	maxWindow = 128 << 20
)

// payload is an unpacking reader.
type payload struct {
	io.Reader
	compression Compression
	close       func()
}

func (p *payload) Close() error {
	if p.close != nil {
		p.close()
	}
	return nil
}

// open begins to unpack.
func (b *bzImage) open() (*payload, error) {
	n := b.payload.Size()
	if n < 8 {
		return nil, notKernel(errors.New("the payload is too short"))
	}
	var head [4]byte
	if _, err := b.payload.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("reading the kernel's payload: %w", err)
	}
	if string(head[:]) == elfMagic {
		return &payload{Reader: io.NewSectionReader(b.payload, 0, n), compression: Uncompressed}, nil
	}
	size := b.unpackedSize()
	if size == 0 || size > maxUnpacked {
		return nil, notKernel(fmt.Errorf("the payload claims to unpack to %d bytes", size))
	}
	p, err := unpacker(head, io.NewSectionReader(b.payload, 0, n-4), b.payload)
	if err != nil {
		return nil, notKernel(err)
	}
	p.Reader = &exactReader{r: p.Reader, left: size}
	return p, nil
}

// unpackedSize is what the last four bytes of every compressed payload say:
// gzip's own trailer, or a number appended by the build (scripts/Makefile.lib,
// size_append). No decoder is asked for more. It is 0 when it cannot be read.
func (b *bzImage) unpackedSize() int64 {
	var tail [4]byte
	if _, err := b.payload.ReadAt(tail[:], max(0, b.payload.Size()-4)); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(tail[:]))
}

// unpacker chooses the decoder by the magic numbers of boot.rst,
// payload_offset. Gzip needs the whole payload: its trailer ends in the size.
func unpacker(head [4]byte, packed, whole *io.SectionReader) (*payload, error) {
	switch {
	case head[0] == 0x1f && head[1] == 0x8b:
		r, err := gzip.NewReader(bufio.NewReader(io.NewSectionReader(whole, 0, whole.Size())))
		if err != nil {
			return nil, err
		}
		return &payload{Reader: r, compression: Gzip}, nil
	case string(head[:3]) == "BZh":
		return &payload{Reader: bzip2.NewReader(bufio.NewReader(packed)), compression: Bzip2}, nil
	case head[0] == 0x5d && head[1] == 0:
		r, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(bufio.NewReader(packed))
		if err != nil {
			return nil, err
		}
		return &payload{Reader: r, compression: LZMA}, nil
	case string(head[:]) == "\xfd7zX":
		// Kernels are packed with the x86 filter in front of LZMA2, which
		// ulikunitz/xz does not know.
		r, err := xz.NewReader(packed, maxWindow)
		if err != nil {
			return nil, err
		}
		r.Multistream(false)
		return &payload{Reader: r, compression: XZ}, nil
	case binary.LittleEndian.Uint32(head[:]) == lz4LegacyMagic:
		return &payload{Reader: &lz4Reader{r: bufio.NewReader(packed)}, compression: LZ4}, nil
	case string(head[:]) == "\x28\xb5\x2f\xfd":
		r, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxUnpacked))
		if err != nil {
			return nil, err
		}
		return &payload{Reader: r, compression: Zstd, close: r.Close}, nil
	}
	return nil, fmt.Errorf("the payload begins with % x, which is no compression known here", head)
}

// exactReader ends after exactly left bytes; less is an error.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case e.left == 0:
		return n, nil
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// The legacy frame of LZ4: a magic number, then blocks with their packed
// length before them (LZ4 Frame Format Description, "Legacy frame").
const (
	lz4LegacyMagic = 0x184c2102
	lz4BlockSize   = 8 << 20 // unpacked, all but the last
)

// lz4Reader unpacks a legacy frame, block by block.
type lz4Reader struct {
	r       io.Reader
	started bool
	packed  []byte
	block   []byte
	rest    bytes.Reader
}

func (l *lz4Reader) Read(p []byte) (int, error) {
	for l.rest.Len() == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	return l.rest.Read(p)
}

func (l *lz4Reader) next() error {
	var word [4]byte
	if !l.started {
		if _, err := io.ReadFull(l.r, word[:]); err != nil {
			return err
		}
		l.started = true
		l.block = make([]byte, lz4BlockSize)
	}
	if _, err := io.ReadFull(l.r, word[:]); err != nil {
		return err
	}
	n := int(binary.LittleEndian.Uint32(word[:]))
	if n == 0 || n > lz4.CompressBlockBound(lz4BlockSize) {
		return fmt.Errorf("an LZ4 block of %d bytes", n)
	}
	l.packed = append(l.packed[:0], make([]byte, n)...)
	if _, err := io.ReadFull(l.r, l.packed); err != nil {
		return err
	}
	n, err := lz4.UncompressBlock(l.packed, l.block)
	if err != nil {
		return err
	}
	l.rest.Reset(l.block[:n])
	return nil
}
