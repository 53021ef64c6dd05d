package packed

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// gzipLevel is where a higher level costs much and gains little.
const gzipLevel = 6

// gzipFormat is one member (RFC 1952). Every block ends with an empty stored
// one, which brings the stream to a whole byte, so that the next may follow.
type gzipFormat struct {
	crc  uint32
	size uint32
}

func (*gzipFormat) packer() (pipe.Packer, error) {
	w, err := flate.NewWriter(io.Discard, gzipLevel)
	if err != nil {
		return nil, err
	}
	return func(dst, block []byte) ([]byte, error) {
		out := bytes.NewBuffer(dst)
		w.Reset(out)
		if _, err := w.Write(block); err != nil {
			return dst, err
		}
		err := w.Flush()
		return out.Bytes(), err
	}, nil
}

// begin returns the header: deflate, no name, no time, an unknown system.
func (*gzipFormat) begin() []byte { return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255} }

func (f *gzipFormat) add(n int64, block, packed []byte) ([]byte, error) {
	f.size += uint32(n)
	if block == nil {
		f.crc = crcZeros(f.crc, n)
	} else {
		f.crc = crc32.Update(f.crc, crc32.IEEETable, block)
	}
	return packed, nil
}

// end returns a last block that is empty, and the trailer.
func (f *gzipFormat) end() []byte {
	p := []byte{3, 0} // final, fixed codes, end of block
	p = binary.LittleEndian.AppendUint32(p, f.crc)
	return binary.LittleEndian.AppendUint32(p, f.size)
}

// crcZeros returns the checksum of what has the checksum crc, followed by n
// zero bytes, in time that grows with the number of n's digits: the register
// is multiplied by x^8n modulo the polynomial.
func crcZeros(crc uint32, n int64) uint32 {
	power := uint32(1 << 23) // x^8; the highest bit stands for x^0
	register := ^crc
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			register = multiply(power, register)
		}
		power = multiply(power, power)
	}
	return ^register
}

// multiply multiplies two polynomials modulo that of the checksum.
func multiply(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1 << 31); bit > 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		odd := b&1 != 0
		if b >>= 1; odd {
			b ^= crc32.IEEE
		}
	}
	return product
}
