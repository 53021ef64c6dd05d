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

// chunk is a piece of a compressed stream.
type chunk struct {
	at         int // where what it holds belongs
	in         int // where it is in the stream, behind its header
	data       []byte
	compressed bool
}

// eachChunk calls do for each chunk in src that holds some of the first size
// bytes. It returns the length of these chunks, with the empty header that ends
// a stream that has no more. What follows need not be a stream: ntfs-3g does
// not end one at the end of a file.
func eachChunk(src []byte, size int, do func(chunk) error) (int, error) {
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
		if err := do(chunk{out, in, src[in : in+n], h&chunkCompressed != 0}); err != nil {
			return 0, fmt.Errorf("the chunk at byte %d: %w", in, err)
		}
		in += n
	}
	return in, nil
}

// decompress fills dst with what src holds and zeros behind it.
func decompress(dst, src []byte) error {
	clear(dst)
	var plain [chunkPlain]byte
	_, err := eachChunk(src, len(dst), func(c chunk) error {
		part := dst[c.at:min(c.at+chunkPlain, len(dst))]
		if !c.compressed {
			copy(part, c.data)
			return nil
		}
		clear(plain[:])
		_, err := decompressChunk(plain[:], c.data, len(part))
		copy(part, plain[:])
		return err
	})
	return err
}

// streamLen returns how many bytes of src it takes to decompress to size
// bytes. Zeros may follow, whatever the headers say: an empty header ends the
// stream, and zeros within a chunk are literal zeros, or repetitions of what is
// there, and not more of them than there were.
func streamLen(src []byte, size int) (int, error) {
	end := 0
	var plain [chunkPlain]byte
	n, err := eachChunk(src, size, func(c chunk) error {
		want, err := min(size-c.at, chunkPlain), error(nil)
		switch {
		case want == chunkPlain:
			end = 0
		case !c.compressed:
			end = c.in + min(want, len(c.data))
		default:
			used := 0
			used, err = decompressChunk(plain[:], c.data, want)
			end = c.in + used
		}
		return err
	})
	if end > 0 {
		return end, err
	}
	return n, err
}

// decompressChunk decompresses one chunk: flag bytes, each ahead of eight
// literals or matches. It ends when dst holds want bytes, and returns how many
// of src that took.
func decompressChunk(dst, src []byte, want int) (int, error) {
	out := 0
	for in := 0; in < len(src); {
		flags := src[in]
		in++
		for bit := 0; bit < 8 && in < len(src); bit, flags = bit+1, flags>>1 {
			if out >= want {
				return in, nil
			}
			if flags&1 == 0 {
				dst[out] = src[in]
				in, out = in+1, out+1
				continue
			}
			if in+2 > len(src) {
				return 0, fmt.Errorf("a match at byte %d is cut off", in)
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
				return 0, fmt.Errorf("a match of %d bytes %d before byte %d", length, back, out)
			}
			for range length {
				dst[out] = dst[out-back]
				out++
			}
		}
	}
	return len(src), nil
}
