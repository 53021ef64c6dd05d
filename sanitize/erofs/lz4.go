package erofs

import "errors"

var errLZ4 = errors.New("damaged LZ4 data")

// lz4MinMatch is the shortest match, in bytes.
const lz4MinMatch = 4

// unpackLZ4 fills dst from the LZ4 block src and ignores what follows: a piece
// may be the beginning of a longer block, and without padding src runs on to
// the end of its blocks. Decoders in general use want all of a block. The
// format is that of lz4_Block_format.md.
func unpackLZ4(dst, src []byte) error {
	out := 0
	for out < len(dst) {
		if len(src) == 0 {
			return errLZ4
		}
		token := src[0]
		var ok bool
		var n int
		if n, src, ok = lz4Length(int(token>>4), src[1:]); !ok {
			return errLZ4
		}
		if take := min(n, len(dst)-out); take > len(src) {
			return errLZ4
		} else if out += copy(dst[out:], src[:take]); out == len(dst) {
			return nil
		}
		if src = src[n:]; len(src) < 2 {
			return errLZ4
		}
		distance := int(src[0]) | int(src[1])<<8
		if n, src, ok = lz4Length(int(token&15), src[2:]); !ok || distance == 0 || distance > out {
			return errLZ4
		}
		// A match may overlap what it writes: then what is copied of it is a
		// whole number of distances, and the next copy can be twice as long.
		from, end := out-distance, min(out+n+lz4MinMatch, len(dst))
		for out < end {
			out += copy(dst[out:end], dst[from:out])
		}
	}
	return nil
}

// lz4Length continues a length of four bits.
func lz4Length(n int, src []byte) (int, []byte, bool) {
	if n < 15 {
		return n, src, true
	}
	for i, b := range src {
		if n += int(b); b < 255 {
			return n, src[i+1:], true
		}
	}
	return 0, nil, false
}
