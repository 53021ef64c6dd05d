package stages

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/recipes"
)

const kindRoot = "root"

// rootParams describe the root filesystem image.
type rootParams struct {
	Filesystem  string `json:"filesystem"`
	Compression string `json:"compression,omitempty"`
	Size        int64  `json:"size,omitempty"` // bytes; 0 is automatic
	// Cluster is what erofs compresses into at once, in bytes; 0 is 64 KiB.
	Cluster int64  `json:"cluster,omitempty"`
	UUID    string `json:"uuid"`
	Epoch   int64  `json:"epoch"`
}

// rootTools are the programs that make each kind of root.
var rootTools = map[string][]string{
	"erofs":    {"mkfs.erofs"},
	"squashfs": {"mksquashfs", "fakeroot"},
	"ext4":     {"mke2fs", "debugfs"},
}

// root adds the stage that turns the stack of layers into a filesystem image.
func (s *set) root(stack []builder.Input) string {
	r := s.Recipe.Recipe.Disk.Root
	tools := rootTools[r.Filesystem]
	if s.hasOwners() {
		tools = append(slices.Clone(tools), "fakeroot")
	}
	return s.add(builder.Stage{
		Name:    "root",
		Title:   "make the " + r.Filesystem + " root",
		Kind:    kindRoot,
		Version: 2,
		Tools:   s.versions(tools...),
		Inputs:  stack,
	}, rootParams{
		Filesystem:  r.Filesystem,
		Compression: r.Compression,
		Size:        int64(r.Size),
		Cluster:     cluster(s.Recipe.Recipe.Guest.Memory),
		UUID:        s.guid("root filesystem").String(),
		Epoch:       s.Epoch.Unix(),
	})
}

// scarce is below which size of memory, in bytes, a guest keeps only a part of
// its programs in the page cache and reads the rest again and again.
const scarce = 80 << 20

// cluster returns what erofs compresses into at once: as little as can be where
// memory is scarce, for who needs one page of a cluster has to read and unpack
// all of it.
func cluster(memory recipes.Size) int64 {
	if memory < scarce {
		return 4096
	}
	return 0
}

// hasOwners reports whether files of the root may belong to others than root,
// which fakeroot shows to a maker that takes owners from the tree.
func (s *set) hasOwners() bool {
	r := s.Recipe.Recipe
	if r.Disk.Root.Filesystem != "erofs" {
		return false
	}
	return r.Runtime.OCI != nil || slices.ContainsFunc(r.Files, func(f recipes.File) bool { return f.UID != 0 || f.GID != 0 })
}

// makeRoot is the runner.
func (o Options) makeRoot(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[rootParams](w)
	if err != nil {
		return nil, err
	}
	tree, owners, err := openStack(ctx, w)
	if err != nil {
		return nil, err
	}
	image := filepath.Join(w.Dir, "root.img")
	write := map[string]func(context.Context, *builder.Work, rootParams, string, string, ownership) error{
		"erofs": makeErofs, "squashfs": makeSquashfs, "ext4": makeExt4,
	}[p.Filesystem]
	if err := write(ctx, w, p, tree, image, owners); err != nil {
		return nil, err
	}
	if err := grow(image, p.Size); err != nil {
		return nil, err
	}
	desc, err := putImage(ctx, w, image)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"image": desc}, nil
}

// grow rounds the image up to whole MiB, or to the size that was asked for.
func grow(image string, size int64) error {
	info, err := os.Stat(image)
	if err != nil {
		return err
	}
	const unit = 1 << 20
	if size == 0 {
		size = (info.Size() + unit - 1) / unit * unit
	}
	if info.Size() > size {
		return fmt.Errorf("the root takes %d bytes and disk.root.size is %d", info.Size(), size)
	}
	return os.Truncate(image, size)
}

func makeErofs(ctx context.Context, w *builder.Work, p rootParams, tree, image string, owners ownership) error {
	cluster := "-C" + strconv.FormatInt(cmp.Or(p.Cluster, 64<<10), 10)
	args := []string{"-T" + strconv.FormatInt(p.Epoch, 10), "-U" + p.UUID, "-x-1"}
	switch p.Compression {
	case "none":
	case "lz4hc":
		// Measured on a Java runtime: level 3 ends 3% larger than the
		// default, 9, and takes two fifths of its time.
		args = append(args, "-zlz4hc,3", cluster)
	default:
		args = append(args, "-z"+p.Compression, cluster)
	}
	return owners.run(ctx, w, tree, "mkfs.erofs", append(args, image, tree)...)
}

func makeSquashfs(ctx context.Context, w *builder.Work, p rootParams, tree, image string, owners ownership) error {
	epoch := strconv.FormatInt(p.Epoch, 10)
	args := []string{tree, image, "-noappend", "-no-progress", "-no-xattrs", "-quiet",
		"-mkfs-time", epoch, "-all-time", epoch, "-comp", p.Compression}
	if p.Compression == "lz4" {
		args = append(args, "-Xhc")
	}
	return owners.run(ctx, w, tree, "mksquashfs", args...)
}
