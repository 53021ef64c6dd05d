package erofs

import (
	"context"

	"fmt"
	"github.com/imgbuild/imgbuild/sanitize"
)

// maxTarget bounds the target of a symbolic link, in bytes.
const maxTarget = 64 << 10

// Walk reads the live tree.
func (f readable) Walk(ctx context.Context, fn func(sanitize.File) error) error {
	return f.descend(ctx, func(n *inode, path string) error {
		file, err := n.file(path)
		if err != nil {
			return err
		}
		attrs, err := f.attributes(n)
		if err != nil {
			return err
		}
		if len(attrs) > 0 {
			file.Xattrs = map[string][]byte{}
		}
		for _, a := range attrs {
			file.Xattrs[a.name] = a.value
		}
		switch n.kind() {
		case modeRegular:
			file.Open = func() (sanitize.Content, error) { return f.content(ctx, n) }
		case modeSymlink:
			if file.Target, err = f.target(ctx, n); err != nil {
				return err
			}
		}
		return fn(file)
	})
}

func (f *filesystem) target(ctx context.Context, n *inode) (string, error) {
	if n.size > maxTarget {
		return "", fmt.Errorf("a target of %d bytes", n.size)
	}
	c, err := f.content(ctx, n)
	if err != nil {
		return "", err
	}
	b := make([]byte, n.size)
	err = sanitize.ReadFull(c, b, 0)
	return string(b), err
}
