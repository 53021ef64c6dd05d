package stages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/sparse"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of the artifacts that stages exchange.
const (
	mediaTypeKernel    = "application/vnd.imgbuild.kernel.v1"
	mediaTypeInitramfs = "application/vnd.imgbuild.initramfs.v1"
	mediaTypeConfig    = "application/vnd.imgbuild.kernel.config.v1"
	mediaTypeEFI       = "application/vnd.imgbuild.efi.v1"
	mediaTypeBootCode  = "application/vnd.imgbuild.bootcode.v1"
	mediaTypeISO       = "application/vnd.efi.iso"
	mediaTypeJar       = "application/java-archive"
	mediaTypeText      = "text/plain"
	mediaTypeJSON      = "application/json"
)

// inputLimit bounds artifacts that are read into memory: kernels and lists.
const inputLimit = 256 << 20

// readInput returns the bytes of an input.
func readInput(ctx context.Context, w *builder.Work, role string) ([]byte, error) {
	desc, ok := w.Inputs[role]
	if !ok {
		return nil, fmt.Errorf("stage %s has no input %q", w.Stage.Name, role)
	}
	return readBlob(ctx, w.Store, desc)
}

// readBlob returns the bytes of a small artifact.
func readBlob(ctx context.Context, s builder.Store, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > inputLimit {
		return nil, fmt.Errorf("artifact %s has %d bytes, more than the limit of %d", desc.Digest, desc.Size, inputLimit)
	}
	b, err := s.Open(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	buf := make([]byte, b.Size())
	if _, err := io.ReadFull(io.NewSectionReader(b, 0, b.Size()), buf); err != nil {
		return nil, fmt.Errorf("reading artifact %s: %w", desc.Digest, err)
	}
	return buf, nil
}

// put stores what write produces.
func put(ctx context.Context, s builder.Store, mediaType string, write func(io.Writer) error) (ocispec.Descriptor, error) {
	b, err := s.Create(ctx, mediaType)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer b.Close()
	if err := write(b); err != nil {
		return ocispec.Descriptor{}, err
	}
	return b.Commit(ctx)
}

// putBytes stores a small artifact.
func putBytes(ctx context.Context, s builder.Store, content []byte, mediaType string) (ocispec.Descriptor, error) {
	return put(ctx, s, mediaType, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(content))
		return err
	})
}

// putJSON stores a report.
func putJSON(ctx context.Context, s builder.Store, v any) (ocispec.Descriptor, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return putBytes(ctx, s, append(text, '\n'), mediaTypeJSON)
}

// putFile stores a file.
func putFile(ctx context.Context, s builder.Store, path, mediaType string) (ocispec.Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer f.Close()
	return put(ctx, s, mediaType, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// putImage stores a raw image, without its holes.
func putImage(ctx context.Context, w *builder.Work, path string) (ocispec.Descriptor, error) {
	f, err := disk.OpenFile(path)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer f.Close()
	return putDisk(ctx, w, f)
}

// putDisk stores a disk, without its holes.
func putDisk(ctx context.Context, w *builder.Work, r disk.Reader) (ocispec.Descriptor, error) {
	return put(ctx, w.Store, sparse.MediaType, func(out io.Writer) error {
		sink := sparse.NewWriter(out, r.Size())
		if err := disk.Copy(ctx, r, func(done int64) { w.Progress(done, r.Size(), builder.Bytes) }, sink); err != nil {
			return err
		}
		return sink.Close()
	})
}

// OpenDisk opens a disk artifact. The caller closes the blob.
func OpenDisk(ctx context.Context, s builder.Store, desc ocispec.Descriptor) (disk.Reader, io.Closer, error) {
	b, err := s.Open(ctx, desc)
	if err != nil {
		return nil, nil, err
	}
	r, err := sparse.Open(b, b.Size())
	if err != nil {
		b.Close()
		return nil, nil, fmt.Errorf("opening disk artifact %s: %w", desc.Digest, err)
	}
	return r, b, nil
}

// lastLines returns the last n lines of text, without a final newline.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
