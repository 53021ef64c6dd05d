package stages

import (
	"bytes"
	"context"
	"io"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/seed"
	"github.com/imgbuild/imgbuild/stages/files"
)

const kindSeed = "seed"

// seedGrowth is what the filesystem on a second disk may grow to as mke2fs lays
// it out, in bytes: all that one table of block groups has room for in advance.
// Beyond that the kernel goes on with tables in other places.
const seedGrowth = 8 << 40

// ownDisk reports whether the data have a disk of their own.
func (s *set) ownDisk() bool { return s.Recipe.Recipe.Disk.Data.OnSecond() > 0 }

// seed adds the stage that makes what a guest makes its data filesystem from. It
// is as large as the disk, up to what a seed may be.
func (s *set) seed() string {
	return s.add(builder.Stage{
		Name:    "seed",
		Title:   "make the seed of the data filesystem",
		Kind:    kindSeed,
		Version: 1,
		Tools:   s.versions("mke2fs"),
	}, s.dataParams(min(int64(s.Recipe.Recipe.Disk.Data.Size), seed.MaxSize)/seed.BlockSize*seed.BlockSize))
}

// makeSeed is the runner.
func (o Options) makeSeed(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[dataParams](w)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(w.Dir, "data.img")
	fs := p.filesystem()
	if p.Size == seed.MaxSize {
		fs.most = seedGrowth
	}
	if err := fs.make(ctx, w, path); err != nil {
		return nil, err
	}
	image, err := disk.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	var packed bytes.Buffer
	if err := seed.Pack(&packed, image, p.Size); err != nil {
		return nil, err
	}
	entries := withParents([]files.Entry{{Path: config.SeedPath, Mode: 0o644, Content: files.Bytes(packed.Bytes())}})
	layer, err := put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, entries, epochTime(p.Epoch))
	})
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer}, nil
}
