package packed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

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
	xzDict = 4 << 20
)

// xzFormat is one stream. The library makes a stream of each block; taken from
// it are the block and what its index says.
type xzFormat struct {
	index []byte
	count uint64
}

func (*xzFormat) packer() (pipe.Packer, error) {
	config := xz.WriterConfig{DictCap: xzDict, CheckSum: xz.CRC64}
	if err := config.Verify(); err != nil {
		return nil, err
	}
	return func(dst, block []byte) ([]byte, error) {
		out := bytes.NewBuffer(dst)
		w, err := config.NewWriter(out)
		if err == nil {
			_, err = w.Write(block)
		}
		if err == nil {
			err = w.Close()
		}
		return out.Bytes(), err
	}, nil
}

// begin returns the stream header (section 2.1.1).
func (*xzFormat) begin() []byte {
	p := append([]byte(xzMagic), 0, xzCRC64)
	return binary.LittleEndian.AppendUint32(p, crc32.ChecksumIEEE(p[len(xzMagic):]))
}

// add returns the block of a stream that holds just one, padding included.
func (f *xzFormat) add(_ int64, _, packed []byte) ([]byte, error) {
	footer := packed[len(packed)-xzFooterSize:]
	indexSize := (int(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	blockEnd := len(packed) - xzFooterSize - indexSize
	if blockEnd < xzHeaderSize {
		return nil, errors.New("compressing a block: its stream makes no sense")
	}
	records := packed[blockEnd+1:] // behind the index indicator
	count, n := binary.Uvarint(records)
	if count == 0 { // of nothing
		return nil, nil
	}
	if count != 1 {
		return nil, errors.New("compressing a block: its stream has several")
	}
	records = records[n:]
	for range 2 { // unpadded and uncompressed size
		_, n := binary.Uvarint(records)
		f.index = append(f.index, records[:n]...)
		records = records[n:]
	}
	f.count++
	return packed[xzHeaderSize:blockEnd], nil
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
