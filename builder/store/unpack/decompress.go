package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow bounds the memory that a compressed stream may ask for, in bytes.
// xz -9 and zstd --ultra -22 need less.
const maxWindow = 256 << 20

// sniff tells the compression of a layer by its first bytes, as the suffix that
// a file would have.
func sniff(r *bufio.Reader) string {
	head, _ := r.Peek(4) // a short stream has none
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952 §2.3.1
		return ".gz"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878 §3.1.1
		return ".zst"
	}
	return ""
}

// decompress returns the decompressed stream. Its Close tells whether the
// compressed one was whole.
func decompress(ctx context.Context, suffix string, r io.Reader) (io.ReadCloser, error) {
	switch suffix {
	case "":
		return io.NopCloser(r), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".zst":
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case ".bz2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	case ".xz":
		// Several times as fast as in Go, and on every Debian.
		if path, err := exec.LookPath("xz"); err == nil {
			return startXZ(ctx, path, r)
		}
		d, err := xz.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("reading xz: %w", err)
		}
		return io.NopCloser(d), nil
	}
	return nil, fmt.Errorf("the compression %q is not known", suffix)
}

// command is the output of a program that reads r.
type command struct {
	io.Reader
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr *bytes.Buffer
	eof    bool
}

func startXZ(ctx context.Context, path string, r io.Reader) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, "--decompress", "--stdout", fmt.Sprintf("--memlimit-decompress=%d", maxWindow))
	cmd.Stdin = r
	c := &command{cmd: cmd, cancel: cancel, stderr: new(bytes.Buffer)}
	cmd.Stderr = c.stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("starting xz: %w", err)
	}
	c.Reader = out
	return c, nil
}

func (c *command) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.eof = c.eof || errors.Is(err, io.EOF)
	return n, err
}

// Close waits for the end of the program. One whose output was not read to its
// end is stopped, and how it ended means nothing.
func (c *command) Close() error {
	defer c.cancel()
	if !c.eof {
		c.cancel()
	}
	err := c.cmd.Wait()
	if err != nil && c.eof {
		return fmt.Errorf("running xz: %w: %s", err, strings.TrimSpace(c.stderr.String()))
	}
	return nil
}
