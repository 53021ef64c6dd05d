package btrfs

import (
	"encoding/binary"
	"errors"
)

var errLZO = errors.New("an extent is not what LZO makes")

// unpackLZO unpacks an extent: its length, then segments with a length each,
// none of which begins in the last three bytes of a sector (kernel,
// fs/btrfs/lzo.c).
func unpackLZO(b []byte, plain, sector int) ([]byte, error) {
	const field = 4
	if len(b) < field {
		return nil, errLZO
	}
	total := int(binary.LittleEndian.Uint32(b))
	if total > len(b) {
		return nil, errLZO
	}
	out := make([]byte, 0, plain)
	for at := field; at < total && len(out) < plain; {
		if left := sector - at%sector; left < field {
			at += left
		}
		if at+field > total {
			return nil, errLZO
		}
		n := int(binary.LittleEndian.Uint32(b[at:]))
		at += field
		if n > total-at {
			return nil, errLZO
		}
		var err error
		if out, err = lzo1x(out, b[at:at+n], min(plain-len(out), sector)); err != nil {
			return nil, err
		}
		at += n
	}
	return out, nil
}

// lzoInput is a stream of LZO1X instructions.
type lzoInput struct {
	b  []byte
	at int
}

func (in *lzoInput) next() int {
	if in.at >= len(in.b) {
		in.at++
		return 0
	}
	in.at++
	return int(in.b[in.at-1])
}

// long reads a length whose bits in the instruction are zero: each zero byte
// stands for 255.
func (in *lzoInput) long(base int) int {
	n := base
	for in.at < len(in.b) && in.b[in.at] == 0 {
		n += 255
		in.at++
	}
	return n + in.next()
}

func (in *lzoInput) distance() int {
	lo := in.next()
	return lo>>2 | in.next()<<6
}

// lzo1x appends what a stream holds, at most limit bytes, to out (kernel,
// Documentation/staging/lzo.rst).
func lzo1x(out, stream []byte, limit int) ([]byte, error) {
	in, start := &lzoInput{b: stream}, len(out)
	literal := func(n int) bool {
		if n > len(in.b)-in.at || len(out)-start+n > limit {
			return false
		}
		out = append(out, in.b[in.at:in.at+n]...)
		in.at += n
		return true
	}
	state := 0 // literals that the last instruction copied; 4 for a long run
	if len(stream) > 0 && stream[0] > 17 {
		n := in.next() - 17
		if !literal(n) {
			return nil, errLZO
		}
		state = min(n, 4)
	}
	for in.at < len(in.b) {
		op := in.next()
		length, back, tail := 0, 0, op&3
		switch {
		case op >= 64:
			length, back, tail = op>>5+1, in.next()<<3|op>>2&7, op&3
			back++
		case op >= 32:
			if length = op&31 + 2; op&31 == 0 {
				length = in.long(31 + 2)
			}
			tail = in.peek() & 3
			back = in.distance() + 1
		case op >= 16:
			if length = op&7 + 2; op&7 == 0 {
				length = in.long(7 + 2)
			}
			tail = in.peek() & 3
			back = in.distance() + 1<<14 + op&8<<11
			if back == 1<<14 { // the end mark
				return out, nil
			}
		case state == 0:
			n := op + 3
			if op == 0 {
				n = in.long(15 + 3)
			}
			if !literal(n) {
				return nil, errLZO
			}
			state = 4
			continue
		case state == 4:
			length, back = 3, in.next()<<2+op>>2+2049
		default:
			length, back = 2, in.next()<<2+op>>2+1
		}
		if back > len(out)-start || len(out)-start+length > limit {
			return nil, errLZO
		}
		for range length {
			out = append(out, out[len(out)-back])
		}
		if !literal(tail) {
			return nil, errLZO
		}
		state = tail
	}
	return nil, errLZO
}

// peek returns the next byte without reading it.
func (in *lzoInput) peek() int {
	if in.at >= len(in.b) {
		return 0
	}
	return int(in.b[in.at])
}
