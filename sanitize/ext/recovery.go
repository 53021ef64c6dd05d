package ext

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
)

// recovery follows the kernel's fs/jbd2/recovery.c: committed transactions are
// found, then the blocks that they revoke, then what is left is taken, the
// latest copy of each block.
type recovery struct {
	*log
	start    uint32 // sequence number of the first transaction
	end      uint32 // and of the one behind the last that was committed
	revoked  map[int64]uint32
	replaced map[int64]tag
}

// recover scans the log. ctx is asked once a block.
func (l *log) recover(ctx context.Context) (*recovery, error) {
	be := binary.BigEndian
	r := &recovery{log: l, start: be.Uint32(l.super[offJSequence:]), revoked: map[int64]uint32{}, replaced: map[int64]tag{}}
	r.end = r.start
	first := int64(be.Uint32(l.super[journalOffStart:]))
	if first == 0 {
		return r, nil
	}
	if first < l.first || first >= l.last {
		return nil, fmt.Errorf("the journal begins at block %d, outside of [%d, %d)", first, l.first, l.last)
	}
	if err := r.scan(ctx, first); err != nil {
		return nil, err
	}
	if err := r.refuseFastCommit(); err != nil {
		return nil, err
	}
	for _, pass := range []func(kind uint32, seq uint32, b []byte, at int64) error{r.noteRevokes, r.noteBlocks} {
		if err := r.each(ctx, first, pass); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// scan finds the last transaction that was committed.
func (r *recovery) scan(ctx context.Context, at int64) error {
	for visited := int64(0); visited < r.last-r.first; visited++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, _, err := r.read(at)
		if err != nil {
			return err
		}
		kind, ok := header(b, r.end)
		if !ok {
			return nil
		}
		next := r.next(at)
		switch kind {
		case jbdDescriptor:
			_, next, err = r.tags(b, at)
		case jbdRevoke:
			_, err = r.revokes(b)
		case jbdCommit:
			if r.checksums() && crc(r.seed, withoutSum(b, commitSum)) != binary.BigEndian.Uint32(b[commitSum:]) {
				err = errBadSum
			} else {
				r.end++
			}
		default:
			return nil
		}
		if errors.Is(err, errBadSum) {
			return nil // the transaction was not committed
		}
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

// header returns the type of a block of the transaction seq.
func header(b []byte, seq uint32) (kind uint32, ok bool) {
	be := binary.BigEndian
	return be.Uint32(b[4:]), be.Uint32(b) == journalMagic && be.Uint32(b[8:]) == seq
}

// each calls fn with the blocks of the log itself of all committed
// transactions.
func (r *recovery) each(ctx context.Context, at int64, fn func(kind, seq uint32, b []byte, at int64) error) error {
	for seq := r.start; seq != r.end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, _, err := r.read(at)
		if err != nil {
			return err
		}
		kind, _ := header(b, seq)
		if err := fn(kind, seq, b, at); err != nil {
			return err
		}
		next := r.next(at)
		switch kind {
		case jbdDescriptor:
			if _, next, err = r.tags(b, at); err != nil {
				return err
			}
		case jbdCommit:
			seq++
		}
		at = next
	}
	return nil
}

func (r *recovery) noteRevokes(kind, seq uint32, b []byte, _ int64) error {
	if kind != jbdRevoke {
		return nil
	}
	blocks, err := r.revokes(b)
	for _, n := range blocks {
		r.revoked[n] = seq
	}
	return err
}

// noteBlocks takes the blocks of a descriptor, unless a later transaction, or
// this very one, revokes them.
func (r *recovery) noteBlocks(kind, seq uint32, b []byte, at int64) error {
	if kind != jbdDescriptor {
		return nil
	}
	tags, _, err := r.tags(b, at)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if last, ok := r.revoked[t.block]; ok && int32(last-seq) >= 0 {
			continue
		}
		if err := r.checkData(t, seq); err != nil {
			return err
		}
		r.replaced[t.block] = t
	}
	return nil
}

// checkData verifies the checksum of a block in the log.
func (r *recovery) checkData(t tag, seq uint32) error {
	if !r.checksums() {
		return nil
	}
	b, _, err := r.read(t.logical)
	if err != nil {
		return err
	}
	sum := crc(crc(r.seed, binary.BigEndian.AppendUint32(nil, seq)), b)
	if r.incompat&jIncompatV3 == 0 {
		sum &= 0xffff
	}
	if sum != t.sum {
		return refused(fmt.Sprintf("the checksum of block %d in the journal is wrong", t.block))
	}
	return nil
}

// refuseFastCommit refuses a log that goes on in the area of fast commits:
// these are changes of a kind of their own.
func (r *recovery) refuseFastCommit() error {
	if r.incompat&jIncompatFast == 0 {
		return nil
	}
	b := make([]byte, fastHeadSequence+4)
	at, ok := r.m.physical(r.last)
	if !ok {
		return nil
	}
	if err := sanitize.ReadFull(r.f.r, b, at*r.f.block); err != nil {
		return err
	}
	le := binary.LittleEndian
	if le.Uint16(b) == fastHead && le.Uint32(b[fastHeadSequence:]) == r.end {
		return refused("the journal has fast commits to replay")
	}
	return nil
}
