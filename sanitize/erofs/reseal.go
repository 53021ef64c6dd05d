package erofs

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Reseal recomputes the checksum in the superblock, which covers the rest of
// its block (kernel, fs/erofs/super.c, erofs_superblock_csum_verify). It is
// written only if it differs.
func (f *filesystem) Reseal(_ context.Context, w disk.Writer) error {
	if !f.checksum {
		return nil
	}
	n := f.block
	if n > superOff {
		n -= superOff
	}
	b := make([]byte, n)
	if err := sanitize.ReadFull(w, b, superOff); err != nil {
		return fmt.Errorf("reading the superblock: %w", err)
	}
	old := binary.LittleEndian.Uint32(b[sumOff:])
	clear(b[sumOff : sumOff+4])
	// The kernel's crc32c lacks the inversion at the end.
	sum := ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	if sum == old {
		return nil
	}
	if _, err := w.WriteAt(binary.LittleEndian.AppendUint32(nil, sum), superOff+sumOff); err != nil {
		return fmt.Errorf("writing the superblock's checksum: %w", err)
	}
	return nil
}
