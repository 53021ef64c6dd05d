package xfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of the log, XADS section "Journaling Log", and kernel,
// xfs_log_format.h. The log counts in sectors of 512 bytes, whatever the
// filesystem does.
const (
	logSector  = 512
	logMagic   = 0xfeedbabe // where another sector has its cycle number
	logVersion = 2          // of a record that may have more than one header sector

	recOffCycle = 4
	recOffLen   = 12
	recOffLSN   = 16
	recOffSum   = 32
	recOffOps   = 40
	recOffWords = 44 // the words that cycle numbers displaced
	recWords    = 64 // of them in a header sector
	recOffUUID  = 304
	recOffSize  = 320
	recHeader   = 328 // bytes in use of the first header sector
	recMore     = 260 // and of the others
	recSpan     = 32 << 10
	maxRecord   = 256 << 10

	opHeader   = 12
	opOffLen   = 4
	opOffFlags = 9
	opUnmount  = 0x20

	logOwner = "log"
	logRead  = 256 << 10 // bytes read at once
)

// logHead is where the log ends. Positions are in sectors.
type logHead struct {
	// cycle and block are of the sector that would be written next: those
	// before it carry the cycle, those from it on the cycle before.
	cycle uint32
	block int64
	// record is where the unmount record begins, headers how many sectors
	// its header takes, and length those behind.
	record, headers, length int64
	// written is set when the log has been written to its end. Where it has
	// not, the cycle number is zero.
	written bool
}

func (f *filesystem) logExtent() (disk.Extent, error) {
	at, err := f.physical(f.logStart)
	return disk.Extent{Off: at * f.block, Len: f.logBlocks * f.block}, err
}

// logSectors calls fn for each sector of the log in [from, to) that may hold
// anything but zeros, or with all set for each.
func (f *filesystem) logSectors(ctx context.Context, from, to int64, all bool, fn func(n int64, b []byte) error) error {
	log, err := f.logExtent()
	if err != nil {
		return err
	}
	buf := make([]byte, logRead)
	end := log.Off + to*logSector
	for off := log.Off + from*logSector; off < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		run := disk.Extent{Off: off, Len: end - off}
		if !all {
			data, err := f.r.NextData(off)
			if errors.Is(err, io.EOF) || err == nil && data.Off >= end {
				return nil
			}
			if err != nil {
				return err
			}
			run = span(log.Off+(data.Off-log.Off)/logSector*logSector, min((data.End()+logSector-1-log.Off)/logSector*logSector+log.Off, end))
		}
		b := buf[:min(run.Len, logRead)]
		if err := sanitize.ReadFull(f.r, b, run.Off); err != nil {
			return err
		}
		for i := 0; i < len(b); i += logSector {
			if err := fn((run.Off-log.Off+int64(i))/logSector, b[i:i+logSector]); err != nil {
				return err
			}
		}
		off = run.Off + int64(len(b))
	}
	return nil
}

// readLog finds the newest record of the log, and refuses a log in which that
// is not an unmount record. A log of zeros is one that nobody has written to.
func (f *filesystem) readLog(ctx context.Context) (logHead, error) {
	var newest []byte
	at, lsn, empty := int64(0), uint64(0), true
	sectors := f.logBlocks * f.block / logSector
	var last uint32
	err := f.logSectors(ctx, 0, sectors, false, func(n int64, b []byte) error {
		empty = empty && allZero(b)
		if n == sectors-1 {
			last = stamp(b)
		}
		if got, ok := f.recordLSN(n, b); ok && (newest == nil || got > lsn) {
			newest, at, lsn = append(newest[:0], b...), n, got
		}
		return nil
	})
	switch {
	case err != nil:
		return logHead{}, fmt.Errorf("reading the log: %w", err)
	case empty:
		return logHead{}, nil
	case newest == nil:
		return logHead{}, refusedLog("the log has no record of this filesystem")
	}
	h, err := f.unmounted(newest, at, sectors)
	h.written = last != 0
	return h, err
}

func refusedLog(why string) error {
	return refused(why, "mount the filesystem once and unmount it, or run `xfs_repair` on a copy of the image")
}

// stamp returns the cycle number of a sector of the log.
func stamp(b []byte) uint32 {
	if n := binary.BigEndian.Uint32(b); n != logMagic {
		return n
	}
	return binary.BigEndian.Uint32(b[recOffCycle:])
}

// recordLSN returns the sequence number of the record that begins in sector n,
// if one of this filesystem does.
func (f *filesystem) recordLSN(n int64, b []byte) (uint64, bool) {
	be := binary.BigEndian
	lsn := be.Uint64(b[recOffLSN:])
	if be.Uint32(b) != logMagic || uint32(lsn>>32) != be.Uint32(b[recOffCycle:]) || int64(uint32(lsn)) != n {
		return 0, false
	}
	uuid := [16]byte(b[recOffUUID:])
	return lsn, uuid == f.uuid || uuid == [16]byte{}
}

// unmounted returns the head of a log whose newest record, with header b in
// sector at, says that the filesystem was unmounted (kernel,
// xlog_check_unmount_rec).
func (f *filesystem) unmounted(b []byte, at, sectors int64) (logHead, error) {
	be := binary.BigEndian
	h := logHead{cycle: be.Uint32(b[recOffCycle:]), record: at, headers: 1}
	length, size := int64(be.Uint32(b[recOffLen:])), int64(be.Uint32(b[recOffSize:]))
	if be.Uint32(b[8:])&logVersion != 0 && size > recSpan && f.logV2 {
		h.headers = (size + recSpan - 1) / recSpan
	}
	h.length = (length + logSector - 1) / logSector
	if size > maxRecord || length < logSector || length > maxRecord || h.headers+h.length > sectors {
		return h, fmt.Errorf("the last record of the log has %d bytes of %d", length, size)
	}
	if be.Uint32(b[recOffOps:]) != 1 {
		return h, refusedLog("the log has transactions to replay")
	}
	log, err := f.logExtent()
	if err != nil {
		return h, err
	}
	op := make([]byte, opHeader)
	if err := sanitize.ReadFull(f.r, op, log.Off+(at+h.headers)%sectors*logSector); err != nil {
		return h, err
	}
	if op[opOffFlags]&opUnmount == 0 {
		return h, refusedLog("the log has transactions to replay")
	}
	h.block = at + h.headers + h.length
	if h.block >= sectors {
		h.block, h.cycle = h.block-sectors, h.cycle+1
	}
	return h, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
