package stages

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

// makeExt4 makes an ext4 root. mke2fs makes the filesystem and debugfs fills
// it by a script: unlike mke2fs -d, that gives every inode the owner and times
// that the script says, without root and the same bytes each time.
func makeExt4(ctx context.Context, w *builder.Work, p rootParams, tree, image string, owners ownership) error {
	var script strings.Builder
	content, inodes, err := ext4Script(&script, tree, owners, p.Epoch)
	if err != nil {
		return err
	}
	size := p.Size
	if size == 0 {
		size = ext4Size(content, inodes)
	}
	fs := ext4{size: size, uuid: p.UUID, seed: p.UUID, label: "root", epoch: p.Epoch, inodes: inodes + 64}
	if err := fs.make(ctx, w, image); err != nil {
		return err
	}
	name := filepath.Join(w.Dir, "debugfs.script")
	if err := os.WriteFile(name, []byte(script.String()), 0o644); err != nil {
		return err
	}
	env := []string{fmt.Sprintf("E2FSPROGS_FAKE_TIME=%d", max(p.Epoch, 1))}
	said, err := toolComplaints(ctx, w, env, "debugfs", "-w", "-f", name, image)
	if err != nil {
		return err
	}
	// debugfs goes on after an error and ends with status 0. All it has to
	// say besides is its version, first.
	if _, wrong, _ := strings.Cut(said, "\n"); wrong != "" {
		first, _, _ := strings.Cut(wrong, "\n")
		return fault.New(fault.Stage, fmt.Errorf("filling the ext4 root of %d MiB: %s", size>>20, strings.TrimSpace(first)),
			"if it is full, give disk.root.size more, or leave it out")
	}
	return nil
}

// ext4Size is the size of a filesystem that holds content bytes in files: a
// twentieth for metadata, the inodes, and a small journal.
func ext4Size(content int64, inodes int) int64 {
	size := content + content/20 + int64(inodes)*256 + 8<<20
	return (size + 1<<20 - 1) >> 20 << 20
}

// ext4Script writes the commands that fill the filesystem, and returns the
// bytes and the number of inodes that they will take.
func ext4Script(b *strings.Builder, tree string, owners ownership, epoch int64) (content int64, inodes int, err error) {
	when := time.Unix(epoch, 0).UTC().Format("20060102150405")
	err = filepath.WalkDir(tree, func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(host, tree), "/")
		if strings.ContainsAny(name, "\"\n") {
			return fmt.Errorf("the name %q cannot be written to ext4: it has a quote or a line break", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inodes++
		kind := uint32(0)
		switch mode := info.Mode(); {
		case name == "/":
			kind = 0o040000
		case mode.IsDir():
			kind = 0o040000
			fmt.Fprintf(b, "mkdir \"%s\"\n", name)
			content += 4096
		case mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(host)
			if err != nil {
				return err
			}
			kind = 0o120000
			fmt.Fprintf(b, "symlink \"%s\" \"%s\"\n", name, target)
		case mode.IsRegular():
			kind = 0o100000
			fmt.Fprintf(b, "write \"%s\" \"%s\"\n", host, name)
			content += (info.Size() + 4095) &^ 4095
		default:
			return fmt.Errorf("%s is neither a file, a folder nor a link", name)
		}
		o := owners[name]
		fmt.Fprintf(b, "sif \"%s\" mode 0%o\n", name, kind|unixMode(info.Mode()))
		fmt.Fprintf(b, "sif \"%s\" uid %d\nsif \"%s\" gid %d\n", name, o.uid, name, o.gid)
		for _, field := range []string{"atime", "ctime", "mtime", "crtime"} {
			fmt.Fprintf(b, "sif \"%s\" %s %s\n", name, field, when)
		}
		return nil
	})
	return content, inodes, err
}

// unixMode returns the twelve permission bits.
func unixMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return bits
}
