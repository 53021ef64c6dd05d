package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/imgbuild/imgbuild/disk"
)

// Measure returns the size of the file, and the space that it takes on disk, in
// bytes. A folder has those of the files in it.
func (s *Source) Measure() (size, allocated int64, err error) {
	err = filepath.WalkDir(s.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		n := info.Size()
		if info.Mode()&fs.ModeDevice != 0 {
			if n, err = deviceSize(path); err != nil {
				return err
			}
		}
		size += n
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			const unit = 512 // stat(2), st_blocks
			allocated += st.Blocks * unit
		}
		return nil
	})
	return size, allocated, err
}

func deviceSize(path string) (int64, error) {
	d, err := disk.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	return d.Size(), nil
}
