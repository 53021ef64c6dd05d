package erofs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// A pack of compact indices is a run of bit fields and one block address
// (kernel, fs/erofs/zmap.c, unpack_compacted_index).
const (
	pack4Len, pack4Count = 8, 2
	pack2Len, pack2Count = 32, 16
	packAddress          = 4
)

// compact decodes indices that take 4 bytes, or 2 where they are aligned: some
// of 4 up to the alignment, then packs of 2, then the rest of 4.
func (z *zMap) compact(ctx context.Context, at, count int64, emit func(int64, zIndex) error) error {
	first := (pack2Len - at%pack2Len) / 4 & 7
	middle := int64(0)
	if z.advise&adviseCompact2B != 0 && first < count {
		middle = (count - first) / pack2Count * pack2Count
	}
	if z.bits > 14 || middle > 0 && z.bits > 12 {
		return fmt.Errorf("compact indices of clusters of 2^%d bytes", z.bits)
	}
	first = min(first, count)
	lcn := int64(0)
	for _, part := range []struct{ n, length, packed int64 }{
		{first, pack4Len, pack4Count}, {middle, pack2Len, pack2Count}, {count - first - middle, pack4Len, pack4Count},
	} {
		for done := int64(0); done < part.n; done += part.packed {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := z.f.read(at, part.length)
			if err != nil {
				return fmt.Errorf("reading cluster indices: %w", err)
			}
			p := pack{z: z, b: b, count: int(part.packed)}
			for i := range min(part.packed, part.n-done) {
				x, err := p.index(int(i))
				if err != nil {
					return fmt.Errorf("reading the index of cluster %d: %w", lcn, err)
				}
				if err := emit(lcn, x); err != nil {
					return err
				}
				lcn++
			}
			at += part.length
		}
	}
	z.end = at
	return nil
}

type pack struct {
	z     *zMap
	b     []byte
	count int
}

// field returns the type and the low bits of entry i.
func (p pack) field(i int) (kind int, low int64) {
	bits := max(p.z.bits, 12)
	width := (len(p.b) - packAddress) * 8 / p.count
	pos := width * i
	// The last fields reach into the address; four bytes are always there.
	at := min(pos/8, len(p.b)-4)
	v := binary.LittleEndian.Uint32(p.b[at:]) >> (pos - at*8)
	return int(v >> bits & 3), int64(v & (1<<bits - 1))
}

func (p pack) index(i int) (zIndex, error) {
	kind, low := p.field(i)
	if kind == clusterNonHead {
		x := zIndex{kind: kind}
		if low&blockCount != 0 && p.z.big() {
			x.blocks = low &^ blockCount
		}
		return x, nil
	}
	before, err := p.blocksBefore(i)
	if err != nil {
		return zIndex{}, err
	}
	address := binary.LittleEndian.Uint32(p.b[len(p.b)-packAddress:])
	return zIndex{kind: kind, offset: low, block: address + uint32(before)}, nil
}

// blocksBefore counts the blocks between the pack's address and entry i's own:
// those of the pieces that begin in the pack ahead of it.
func (p pack) blocksBefore(i int) (int64, error) {
	if !p.z.big() {
		n := int64(1)
		for i > 0 {
			i--
			if kind, low := p.field(i); kind == clusterNonHead {
				i -= int(low)
			}
			if i >= 0 {
				n++
			}
		}
		return n, nil
	}
	n := int64(0)
	for i > 0 {
		i--
		kind, low := p.field(i)
		switch {
		case kind != clusterNonHead:
			n++
		case low&blockCount != 0:
			i--
			n += low &^ blockCount
		case low <= 1:
			return 0, errors.New("a piece of many blocks does not say how many")
		default:
			i -= int(low) - 2
		}
	}
	return n, nil
}
