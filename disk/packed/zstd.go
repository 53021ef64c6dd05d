package packed

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"

	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// What "Zstandard Seekable Format" lays down: a skippable frame at the end
// that holds the sizes of all frames. Programs that do not know it skip it.
const (
	skippableMagic = 0x184d2a5e
	seekableMagic  = 0x8f92eab1
	// emptyFrame is a frame of one segment of no bytes, in one raw block.
	emptyFrame = "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"
)

// zstdFormat is a frame for each block.
type zstdFormat struct {
	table  []byte
	frames uint32
}

func (*zstdFormat) packer() (pipe.Packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(blockSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	return func(dst, block []byte) ([]byte, error) { return enc.EncodeAll(block, dst), nil }, nil
}

func (*zstdFormat) begin() []byte { return nil }

func (f *zstdFormat) add(n int64, _, packed []byte) ([]byte, error) {
	if n == 0 { // a disk of no bytes has an empty frame
		packed = []byte(emptyFrame)
	}
	f.table = binary.LittleEndian.AppendUint32(f.table, uint32(len(packed)))
	f.table = binary.LittleEndian.AppendUint32(f.table, uint32(n))
	f.frames++
	return packed, nil
}

func (f *zstdFormat) end() []byte {
	const footer = 9
	p := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(f.table)+footer))
	p = append(p, f.table...)
	p = binary.LittleEndian.AppendUint32(p, f.frames)
	p = append(p, 0) // without checksums: the frames have their own
	return binary.LittleEndian.AppendUint32(p, seekableMagic)
}
