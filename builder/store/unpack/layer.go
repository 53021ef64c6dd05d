package unpack

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/containerd/v2/core/images"
)

// Deb is the media type of a Debian package.
const Deb = "application/vnd.debian.binary-package"

// Layer lays a layer over what is there.
func (w *Writer) Layer(ctx context.Context, mediaType string, r io.Reader) error {
	r = bufio.NewReaderSize(&ctxReader{ctx, r}, 1<<18)
	switch {
	case mediaType == Deb:
		w.begin(true)
		data, suffix, err := debData(r)
		if err != nil {
			return err
		}
		return w.decompressed(ctx, suffix, data)
	case images.IsLayerType(mediaType) && mediaType != images.MediaTypeErofsLayer:
		w.begin(false)
		// Media types of layers are known to be wrong about compression
		// (Docker's in particular); the first bytes are not.
		br := r.(*bufio.Reader)
		return w.decompressed(ctx, sniff(br), br)
	}
	return fmt.Errorf("the media type %q is not one of a layer", mediaType)
}

func (w *Writer) decompressed(ctx context.Context, suffix string, r io.Reader) error {
	d, err := decompress(ctx, suffix, r)
	if err != nil {
		return err
	}
	err = w.tar(ctx, d)
	return errors.Join(err, d.Close())
}

// tar lays the entries of a tar over what is there.
func (w *Writer) tar(ctx context.Context, r io.Reader) error {
	tr := tar.NewReader(r)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			// The end of the stream behind the tar's end carries the
			// checksums of the compression.
			n, err := io.Copy(io.Discard, io.LimitReader(r, maxPadding+1))
			if n > maxPadding {
				return errors.New("reading the tar: too much follows its end")
			}
			return err
		}
		if err != nil {
			return fmt.Errorf("reading the tar: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(hdr, tr); err != nil {
			return fmt.Errorf("unpacking %q: %w", hdr.Name, err)
		}
	}
}

// maxPadding is how many bytes may follow the end of a tar.
const maxPadding = 1 << 20

func (w *Writer) entry(hdr *tar.Header, r io.Reader) error {
	if err := w.count(hdr.Name, hdr.Size); err != nil {
		return err
	}
	if !w.merge {
		if done, err := w.whiteout(hdr.Name); done || err != nil {
			return err
		}
	}
	mode := hdr.FileInfo().Mode()
	switch hdr.Typeflag {
	case tar.TypeDir:
		return w.placeDir(hdr.Name, mode, hdr.ModTime)
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return w.placeFile(hdr.Name, mode, hdr.ModTime, r)
	case tar.TypeSymlink:
		return w.placeSymlink(hdr.Name, hdr.Linkname, hdr.ModTime)
	case tar.TypeLink:
		return w.placeHardlink(hdr.Name, hdr.Linkname)
	case tar.TypeBlock, tar.TypeChar, tar.TypeFifo, tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("the entry has the unknown type %q", hdr.Typeflag)
}

// ctxReader ends when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
