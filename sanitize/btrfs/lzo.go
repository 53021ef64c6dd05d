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

// lzo unpacks one stream of LZO1X instructions (kernel,
// Documentation/staging/lzo.rst).
type lzo struct {
	in    []byte
	at    int // the next byte of in
	out   []byte
	start int // what out held before the stream
	limit int // bytes that the stream may hold
	// state is the number of literals that the last instruction copied; 4
	// stands for a long run of them.
	state int
}

// lzo1x appends what a stream holds, at most limit bytes, to out.
func lzo1x(out, stream []byte, limit int) ([]byte, error) {
	z := &lzo{in: stream, out: out, start: len(out), limit: limit}
	if len(stream) > 0 && stream[0] > 17 {
		if n := z.next() - 17; !z.literals(n, min(n, 4)) {
			return nil, errLZO
		}
	}
	for z.at < len(z.in) {
		op := z.next()
		if op < 16 && z.state == 0 {
			n := op + 3
			if op == 0 {
				n = z.long(15 + 3)
			}
			if !z.literals(n, 4) {
				return nil, errLZO
			}
			continue
		}
		length, back, tail := z.match(op)
		if back == 0 { // the end mark
			return z.out, nil
		}
		if !z.copy(length, back) || !z.literals(tail, tail) {
			return nil, errLZO
		}
	}
	return nil, errLZO
}

// match decodes an instruction that copies length bytes from back bytes ago,
// and then tail literals. back is 0 at the end of the stream.
func (z *lzo) match(op int) (length, back, tail int) {
	switch {
	case op >= 64:
		return op>>5 + 1, z.next()<<3 + op>>2&7 + 1, op & 3
	case op >= 32:
		if length = op&31 + 2; op&31 == 0 {
			length = z.long(31 + 2)
		}
		lo, hi := z.next(), z.next()
		return length, hi<<6 + lo>>2 + 1, lo & 3
	case op >= 16:
		if length = op&7 + 2; op&7 == 0 {
			length = z.long(7 + 2)
		}
		lo, hi := z.next(), z.next()
		back = hi<<6 + lo>>2 + op&8<<11
		if back > 0 {
			back += 1 << 14
		}
		return length, back, lo & 3
	case z.state == 4:
		return 3, z.next()<<2 + op>>2 + 2049, op & 3
	}
	return 2, z.next()<<2 + op>>2 + 1, op & 3
}

// next reads a byte; zero behind the end.
func (z *lzo) next() int {
	z.at++
	if z.at > len(z.in) {
		return 0
	}
	return int(z.in[z.at-1])
}

// long reads a length that the instruction has no room for: each zero byte
// stands for 255.
func (z *lzo) long(n int) int {
	for z.at < len(z.in) && z.in[z.at] == 0 {
		n += 255
		z.at++
	}
	return n + z.next()
}

// literals copies n bytes of the stream.
func (z *lzo) literals(n, state int) bool {
	if n > len(z.in)-z.at || len(z.out)-z.start+n > z.limit {
		return false
	}
	z.out = append(z.out, z.in[z.at:z.at+n]...)
	z.at, z.state = z.at+n, state
	return true
}

// copy copies bytes that were unpacked before; they may overlap the copy.
func (z *lzo) copy(length, back int) bool {
	if back > len(z.out)-z.start || len(z.out)-z.start+length > z.limit {
		return false
	}
	for range length {
		z.out = append(z.out, z.out[len(z.out)-back])
	}
	return true
}
