package rpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// maxExtracted bounds what [Extract] writes, in bytes; the kernel packages of
// a distribution unpack to less than 1 GB.
const maxExtracted = 8 << 30

// Extract writes those regular files of a package that want chooses, by path,
// below root, with mode 0644. Links, owners and times are left out: it is for
// reading the files, not for installing them. A file that is there already is
// an error.
func Extract(ctx context.Context, r io.Reader, root *os.Root, want func(path string) bool) (Info, error) {
	p, err := Open(contextReader{ctx, r})
	if err != nil {
		return Info{}, err
	}
	defer p.Close()
	left := int64(maxExtracted)
	for {
		f, err := p.Next()
		if err == io.EOF {
			return p.Info, p.Verify()
		}
		if err != nil {
			return p.Info, err
		}
		if !f.Regular() {
			continue
		}
		if err := p.extract(root, f, want, &left); err != nil {
			return p.Info, err
		}
	}
}

// extract writes the current file under each of its names that is wanted.
func (p *Reader) extract(root *os.Root, f *File, want func(string) bool, left *int64) error {
	first := ""
	for _, name := range append([]string{f.Path}, f.Links...) {
		if !want(name) {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("unpacking %s: %w", p.Info, err)
		}
		if first != "" {
			if err := root.Link(first, name); err != nil {
				return fmt.Errorf("unpacking %s: %w", p.Info, err)
			}
			continue
		}
		if *left -= f.Size; *left < 0 {
			return fmt.Errorf("unpacking %s: it holds more than %d bytes", p.Info, int64(maxExtracted))
		}
		if err := p.write(root, name); err != nil {
			return err
		}
		first = name
	}
	return nil
}

func (p *Reader) write(root *os.Root, name string) error {
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("unpacking %s: %s is in another package, too", p.Info, name)
	}
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", p.Info, err)
	}
	_, err = io.Copy(out, p)
	return errors.Join(err, out.Close())
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
