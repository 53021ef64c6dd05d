package ntfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Layout of the log, include/ntfs-3g/logfile.h of ntfs-3g 2022.10.3:
// RESTART_PAGE_HEADER and RESTART_AREA.
const (
	logPage         = 4096 // bytes; restart pages may be larger
	maxLogPage      = 64 << 10
	offSystemPage   = 0x10
	offRestartArea  = 0x18
	offClientInUse  = 0x0c
	offRestartFlags = 0x0e
	restartAreaLen  = 0x30
	noClient        = 0xffff
	restartClean    = 2

	magicRestart = "RSTR"
	magicChkdsk  = "CHKD" // a restart page that chkdsk wrote
	emptyByte    = 0xff   // what an empty log is filled with
)

// logFile returns the log.
func (f *filesystem) logFile() (*stream, error) {
	n, err := f.file(fileLog)
	if err != nil {
		return nil, err
	}
	s := n.stream(attrData, "")
	if !f.isPlain(s) || s.limit() < 2*logPage {
		return nil, errors.New("the log is not mapped")
	}
	return s, nil
}

// checkLog requires that the log has been closed: it is empty, or the newest
// of its two restart pages says that nobody uses it (ntfs-3g,
// ntfs_check_logfile and ntfs_is_logfile_clean).
func (f *filesystem) checkLog() error {
	s, err := f.logFile()
	if err != nil {
		return err
	}
	var newest *restart
	empty := true
	for off := int64(0); off <= maxLogPage && off+logPage <= s.limit(); off = max(2*off, logPage) {
		b := make([]byte, logPage)
		if err := s.read(b, off); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		magic := string(b[:len(magicRestart)])
		empty = empty && bytes.Count(b[:len(magicRestart)], []byte{emptyByte}) == len(magicRestart)
		if magic != magicRestart && magic != magicChkdsk {
			continue
		}
		size := int64(binary.LittleEndian.Uint32(b[offSystemPage:]))
		r, err := s.restart(off, size)
		if err != nil {
			continue // torn: the other one counts
		}
		f.restarts = max(f.restarts, off+size)
		if newest == nil || r.lsn > newest.lsn {
			newest = &r
		}
	}
	if newest != nil {
		f.newest = newest.place
	}
	switch {
	case newest == nil && empty:
		return nil
	case newest == nil:
		return refused("the log has no valid restart page", repairHint)
	case !newest.clean:
		return refused("the log was not closed: Windows was not shut down", repairHint)
	}
	return nil
}

// restart is what a restart page says.
type restart struct {
	lsn   uint64 // the newer page counts
	clean bool   // nobody has the log open
	place []disk.Extent
}

// restart parses the restart page of size bytes at off.
func (s *stream) restart(off, size int64) (restart, error) {
	if !powerOfTwo(size, logPage, maxLogPage) || size > s.limit()-off {
		return restart{}, fmt.Errorf("a restart page of %d bytes", size)
	}
	b := make([]byte, size)
	if err := s.read(b, off); err != nil {
		return restart{}, err
	}
	if _, err := unprotect(b); err != nil {
		return restart{}, err
	}
	le := binary.LittleEndian
	at := int64(le.Uint16(b[offRestartArea:]))
	if at+restartAreaLen > size {
		return restart{}, fmt.Errorf("a restart area at byte %d of %d", at, size)
	}
	area := b[at:]
	r := restart{
		lsn:   le.Uint64(area),
		clean: le.Uint16(area[offClientInUse:]) == noClient || le.Uint16(area[offRestartFlags:])&restartClean != 0,
	}
	err := s.eachRun(off, size, func(e disk.Extent, at int64) error {
		r.place = append(r.place, disk.Extent{Off: at, Len: e.Len})
		return nil
	})
	return r, err
}

// eachLogPage calls do for each page of the log and tells whether it is empty.
// It ends with the last whole page.
func eachLogPage(ctx context.Context, s *stream, do func(e disk.Extent, empty bool) error) error {
	b := make([]byte, logPage)
	for off := int64(0); off+logPage <= s.limit(); off += logPage {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.read(b, off); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		empty := bytes.Count(b, []byte{emptyByte}) == len(b)
		if err := do(disk.Extent{Off: off, Len: logPage}, empty); err != nil {
			return err
		}
	}
	return nil
}
