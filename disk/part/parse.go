package part

import (
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Parse finds and verifies the partition table of a disk. It returns
// ErrNotFound when there is none, which is also so for a disk that holds one
// filesystem from its first byte on. A GPT of which one copy is damaged is
// read from the other, with a note.
func Parse(r disk.Reader) (*Table, error) {
	if r.Size() < disk.SectorSize {
		return nil, ErrNotFound
	}
	boot, err := readBootSector(r)
	if err != nil {
		return nil, fmt.Errorf("reading the boot sector: %w", err)
	}
	gpt, gptErr := parseGPT(r)
	if gpt == nil && gptErr != nil && !errors.Is(gptErr, ErrNotFound) && boot.protective() {
		return nil, fmt.Errorf("parsing the GPT: %w", gptErr)
	}
	switch {
	case gpt != nil && (boot.protective() || !boot.plausible(r.Size())):
		gpt.addBootSector(boot)
		if !boot.protective() {
			gpt.note("the GPT has no protective MBR")
		}
		if boot.used() > 1 {
			gpt.note("the MBR is a hybrid: it names partitions beside the protective one")
		}
		return gpt.finished()
	case boot.plausible(r.Size()):
		t, err := parseMBR(r, boot)
		if err != nil {
			return nil, fmt.Errorf("parsing the MBR: %w", err)
		}
		if gpt != nil {
			t.note("a GPT without protective MBR is there, too: it is no longer in force")
		}
		return t.finished()
	}
	return nil, ErrNotFound
}

func (t *Table) finished() (*Table, error) {
	if err := t.finish(); err != nil {
		return nil, fmt.Errorf("parsing the %s partition table: %w", t.Scheme, err)
	}
	return t, nil
}

func (t *Table) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// readAt reads n bytes, all of them.
func readAt(r disk.Reader, off int64, n int) ([]byte, error) {
	if off < 0 || off > r.Size() || int64(n) > r.Size()-off {
		return nil, fmt.Errorf("%d bytes at offset %d lie beyond the disk", n, off)
	}
	p := make([]byte, n)
	if got, err := r.ReadAt(p, off); got < n {
		return nil, fmt.Errorf("reading %d bytes at offset %d: %w", n, off, err)
	}
	return p, nil
}
