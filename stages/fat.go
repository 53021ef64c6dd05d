package stages

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/imgbuild/imgbuild/builder"
)

// writeFAT makes a FAT16 image with mkfs.fat and mtools, which need neither a
// mount nor root. All times in it are the epoch.
func writeFAT(ctx context.Context, w *builder.Work, image string, p bootParams, files map[string][]byte) error {
	size := p.Size
	if size == 0 {
		size = fatSize(files)
	}
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("making room for the boot partition: %w", err)
	}
	run := func(name string, args ...string) error { return runTool(ctx, w, atEpoch(p.Epoch), name, args...) }
	if err := run("mkfs.fat", "-F", "16", "--invariant", "-i", p.Serial, "-n", "IMGBUILD", image); err != nil {
		return err
	}
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := mkdirFAT(run, image, path.Dir(name), made); err != nil {
			return err
		}
		source := filepath.Join(w.Dir, "fat-"+path.Base(name))
		if err := os.WriteFile(source, files[name], 0o644); err != nil {
			return err
		}
		when := time.Unix(p.Epoch, 0)
		if err := os.Chtimes(source, when, when); err != nil {
			return err
		}
		if err := run("mcopy", "-m", "-i", image, source, "::/"+name); err != nil {
			return fmt.Errorf("writing %s, %d bytes, to a boot partition of %d bytes: %w", name, len(files[name]), size, err)
		}
	}
	return nil
}

// atEpoch is the environment of programs that put times into what they make:
// mtools, mkfs.fat, syslinux and xorriso honour SOURCE_DATE_EPOCH, and would
// otherwise write local time.
func atEpoch(seconds int64) []string {
	return []string{"SOURCE_DATE_EPOCH=" + strconv.FormatInt(seconds, 10), "TZ=UTC", "MTOOLS_SKIP_CHECK=1"}
}

func mkdirFAT(run func(string, ...string) error, image, dir string, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	if err := mkdirFAT(run, image, path.Dir(dir), made); err != nil {
		return err
	}
	made[dir] = true
	return run("mmd", "-i", image, "::/"+dir)
}

// fatSize is the size of a FAT16 filesystem that holds the files: clusters of
// up to 4 KiB, two FATs, and room for SYSLINUX and directories.
func fatSize(files map[string][]byte) int64 {
	const cluster, overhead = 4096, 256 << 10
	size := int64(overhead)
	for _, content := range files {
		size += (int64(len(content)) + cluster - 1) / cluster * cluster
	}
	size += size / 64
	return max(bootMinimum, (size+1<<20-1)>>20<<20)
}
