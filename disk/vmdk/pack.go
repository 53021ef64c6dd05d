package vmdk

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// deflateLevel is where a higher level costs much and gains little.
const deflateLevel = 6

// packedFrom is what the quickest level must leave of a grain, in bytes, for the
// grain to count as packed already: what lies in a root by LZ4, in jars, in
// pictures. To look for matches there takes four fifths of the time and gains
// 3% of LZ4, and nothing of what is packed better; its letters still are not
// equally frequent.
const packedFrom = grainSize / 8 * 7

// newPacker returns what deflates a grain, as the grain alone decides: zlib's
// header says nothing of how the stream behind it was made.
func newPacker() (pipe.Packer, error) {
	var levels [3]*zlib.Writer
	for i, level := range []int{zlib.BestSpeed, zlib.HuffmanOnly, deflateLevel} {
		z, err := zlib.NewWriterLevel(io.Discard, level)
		if err != nil {
			return nil, err
		}
		levels[i] = z
	}
	quick, letters, thorough := levels[0], levels[1], levels[2]
	var probe bytes.Buffer
	return func(dst, grain []byte) ([]byte, error) {
		probe.Reset()
		if err := deflate(quick, &probe, grain); err != nil {
			return dst, err
		}
		z := thorough
		if probe.Len() >= packedFrom {
			z = letters
		}
		out := bytes.NewBuffer(dst)
		err := deflate(z, out, grain)
		return out.Bytes(), err
	}, nil
}

func deflate(z *zlib.Writer, w io.Writer, p []byte) error {
	z.Reset(w)
	if _, err := z.Write(p); err != nil {
		return err
	}
	return z.Close()
}
