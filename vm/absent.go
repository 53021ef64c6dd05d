package vm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// errFound ends a walk.
var errFound = errors.New("found")

// findFile returns the first file on a disk whose path matches a pattern, or
// "", and how many files it looked at. Every filesystem is read, each from its
// own root; one that is recognised and cannot be read is an error, since it may
// hold the file.
func findFile(ctx context.Context, image, pattern string) (found string, looked int, err error) {
	match, err := glob(pattern)
	if err != nil {
		return "", 0, err
	}
	err = walkDisk(ctx, image, func(f sanitize.File) error {
		looked++
		if match.MatchString(f.Path) {
			found = f.Path
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return "", looked, fmt.Errorf("looking for %s on the disk: %w", pattern, err)
	}
	return found, looked, nil
}

// walkDisk calls fn for each file of each filesystem of a disk.
func walkDisk(ctx context.Context, name string, fn func(sanitize.File) error) error {
	d, _, closer, err := image.Open(name)
	if err != nil {
		return err
	}
	defer closer.Close()
	volumes := []disk.Extent{{Off: 0, Len: d.Size()}}
	table, err := part.Parse(d)
	switch {
	case err == nil:
		volumes = nil
		for _, e := range table.Entries {
			volumes = append(volumes, e.Extent)
		}
	case !errors.Is(err, part.ErrNotFound):
		return fmt.Errorf("reading the partition table: %w", err)
	}
	for _, v := range volumes {
		if err := walkVolume(ctx, disk.Section(d, v.Off, v.Len), fn); err != nil {
			return fmt.Errorf("reading the filesystem at byte %d: %w", v.Off, err)
		}
	}
	return nil
}

// walkVolume walks the filesystem of a partition. A partition without one has
// no files.
func walkVolume(ctx context.Context, r disk.Reader, fn func(sanitize.File) error) error {
	for _, d := range drivers.All() {
		fs, err := d.Open(ctx, r)
		if errors.Is(err, sanitize.ErrNotRecognized) {
			continue
		}
		if err != nil {
			return err
		}
		w, ok := fs.(sanitize.Walker)
		if !ok {
			return fmt.Errorf("the files of %s cannot be listed", fs.Type())
		}
		return w.Walk(ctx, fn)
	}
	return nil
}

// glob turns a pattern of absolute paths into a regular expression: ** is any
// folders, * any part of one name, ? any character of one. A folder's pattern
// matches the folder alone; when it is absent, so is all within.
func glob(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	clean := path.Clean(pattern)
	for i := 0; i < len(clean); i++ {
		switch rest := clean[i:]; {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			i += len("**/") - 1
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			i++
		case rest[0] == '*':
			b.WriteString("[^/]*")
		case rest[0] == '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	re, err := regexp.Compile("(?s)^" + b.String() + "$")
	if err != nil {
		return nil, fmt.Errorf("reading the pattern %s: %w", pattern, err)
	}
	return re, nil
}
