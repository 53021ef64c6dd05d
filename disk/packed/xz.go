package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// What ".xz File Format" 1.1.0 lays down: the magic, the flags of a stream
// whose blocks have a CRC-64, and the sizes of header and footer.
const (
	xzMagic      = "\xfd7zXZ\x00"
	xzFooter     = "YZ"
	xzCRC64      = 4
	xzHeaderSize = 12
	xzFooterSize = 12
	// xzDict is the dictionary, in bytes. It decides most of the memory.
	xzDict = 1 << 20
)

// xzFormat is one stream of blocks. What a packer returns is the block's record
// in the index, then the block.
type xzFormat struct {
	index []byte
	count uint64
}

func (*xzFormat) packer() (pipe.Packer, error) {
	config := xz.WriterConfig{DictCap: xzDict, CheckSum: xz.CRC64}
	if err := config.Verify(); err != nil {
		return nil, err
	}
	probe, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	var scratch bytes.Buffer
	var probed []byte
	return func(dst, block []byte) ([]byte, error) {
		// The encoder is at its slowest where it gains nothing.
		if probed = probe.EncodeAll(block, probed[:0]); len(probed) > len(block)/100*99 {
			return appendStored(dst, block), nil
		}
		scratch.Reset()
		w, err := config.NewWriter(&scratch)
		if err == nil {
			_, err = w.Write(block)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return dst, err
		}
		return appendOnly(dst, scratch.Bytes())
	}, nil
}

// appendOnly takes record and block out of a stream that has one block. That
// of an empty disk has none.
func appendOnly(dst, stream []byte) ([]byte, error) {
	footer := stream[len(stream)-xzFooterSize:]
	indexSize := (int(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	blockEnd := len(stream) - xzFooterSize - indexSize
	if blockEnd < xzHeaderSize {
		return nil, errors.New("compressing a block: its stream makes no sense")
	}
	record := stream[blockEnd+1:] // behind the index indicator
	count, n := binary.Uvarint(record)
	if count != 1 {
		return nil, errors.New("compressing a block: its stream has several")
	}
	unpadded, m := binary.Uvarint(record[n:])
	uncompressed, _ := binary.Uvarint(record[n+m:])
	dst = binary.AppendUvarint(dst, unpadded)
	dst = binary.AppendUvarint(dst, uncompressed)
	return append(dst, stream[xzHeaderSize:blockEnd]...), nil
}

// begin returns the stream header (section 2.1.1).
func (*xzFormat) begin() []byte {
	p := append([]byte(xzMagic), 0, xzCRC64)
	return binary.LittleEndian.AppendUint32(p, crc32.ChecksumIEEE(p[len(xzMagic):]))
}

// add returns the block, padding included.
func (f *xzFormat) add(n int64, _, packed []byte) ([]byte, error) {
	if n == 0 { // a disk of no bytes
		return nil, nil
	}
	_, a := binary.Uvarint(packed)
	_, b := binary.Uvarint(packed[a:])
	f.index = append(f.index, packed[:a+b]...)
	f.count++
	return packed[a+b:], nil
}

// end returns the index (section 4) and the stream footer (section 2.1.2).
func (f *xzFormat) end() []byte {
	p := binary.AppendUvarint([]byte{0}, f.count)
	p = append(p, f.index...)
	p = append(p, make([]byte, -len(p)&3)...)
	p = binary.LittleEndian.AppendUint32(p, crc32.ChecksumIEEE(p))
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(p)/4-1))
	tail = append(tail, 0, xzCRC64)
	p = binary.LittleEndian.AppendUint32(p, crc32.ChecksumIEEE(tail))
	return append(append(p, tail...), xzFooter...)
}
