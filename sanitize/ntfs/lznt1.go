package ntfs

import (
	"encoding/binary"
	"fmt"
)

// The form of a compressed stream, MS-XCA section 2.5 "LZNT1 Algorithm
// Details".
const (
	chunkPlain      = 4096   // bytes that a chunk decompresses to, at most
	chunkCompressed = 0x8000 // in a chunk's header: it is not stored as it is
	chunkLen        = 0x0fff // the bytes behind the header, less one
	chunkHeader     = 2
	shortestMatch   = 3
)

// eachChunk calls do for each chunk in src, with the place of what it holds
// among the size bytes that the stream decompresses to. It returns the length
// of the stream with the empty header that ends one that is shorter.
func eachChunk(src []byte, size int, do func(at int, chunk []byte, compressed bool) error) (int, error) {
	in := 0
	for out := 0; out < size; out += chunkPlain {
		if in+chunkHeader > len(src) {
			return in, nil // the clusters are full: nothing has to end the stream
		}
		h := binary.LittleEndian.Uint16(src[in:])
		in += chunkHeader
		if h == 0 {
			return in, nil
		}
		n := int(h&chunkLen) + 1
		if n > len(src)-in {
			return 0, fmt.Errorf("a chunk of %d bytes at byte %d of %d", n, in, len(src))
		}
		if err := do(out, src[in:in+n], h&chunkCompressed != 0); err != nil {
			return 0, fmt.Errorf("the chunk at byte %d: %w", in, err)
		}
		in += n
	}
	return in, nil
}

// decompress fills dst with what src holds and zeros behind it.
func decompress(dst, src []byte) error {
	clear(dst)
	_, err := eachChunk(src, len(dst), func(at int, chunk []byte, compressed bool) error {
		plain := dst[at:min(at+chunkPlain, len(dst))]
		if compressed {
			return decompressChunk(plain, chunk)
		}
		copy(plain, chunk)
		return nil
	})
	return err
}

// decompressChunk decompresses one chunk: flag bytes, each ahead of eight
// literals or matches.
func decompressChunk(dst, src []byte) error {
	out := 0
	for in := 0; in < len(src); {
		flags := src[in]
		in++
		for bit := 0; bit < 8 && in < len(src); bit, flags = bit+1, flags>>1 {
			if flags&1 == 0 {
				if out == len(dst) {
					return fmt.Errorf("a literal behind byte %d", out)
				}
				dst[out] = src[in]
				in, out = in+1, out+1
				continue
			}
			if in+2 > len(src) {
				return fmt.Errorf("a match at byte %d is cut off", in)
			}
			token := int(binary.LittleEndian.Uint16(src[in:]))
			in += 2
			// The place takes as many bits as the output so far needs.
			shift := 12
			for i := out - 1; i >= 0x10; i >>= 1 {
				shift--
			}
			length, back := token&(1<<shift-1)+shortestMatch, token>>shift+1
			if back > out || length > len(dst)-out {
				return fmt.Errorf("a match of %d bytes %d before byte %d", length, back, out)
			}
			for range length {
				dst[out] = dst[out-back]
				out++
			}
		}
	}
	return nil
}
