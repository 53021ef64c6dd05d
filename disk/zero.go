package disk

import "bytes"

// IsZero reports whether p holds only zeros, at the speed of memory.
func IsZero(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	// Every byte equals its predecessor, and the first is zero. The runtime
	// compares with vector instructions and stops at the first difference.
	return p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
}

// DataRuns calls emit for each maximal run of blocks in p that hold data. p
// lies at offset off of a disk; blocks are aligned to BlockSize there, so the
// first and the last may be shorter. Runs are offsets into the disk.
func DataRuns(p []byte, off int64, emit func(Extent)) {
	run := Extent{Off: off}
	for len(p) > 0 {
		n := min(BlockSize-int(off%BlockSize), len(p))
		if IsZero(p[:n]) {
			if run.Len > 0 {
				emit(run)
			}
			run = Extent{Off: off + int64(n)}
		} else {
			run.Len += int64(n)
		}
		p, off = p[n:], off+int64(n)
	}
	if run.Len > 0 {
		emit(run)
	}
}
