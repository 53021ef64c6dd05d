package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
)

// digestBuffer is how many bytes are hashed at a time.
const digestBuffer = 1 << 20

// digest hashes the raw disk of an image. Holes are hashed as the zeros that
// they are, and not read. An image of a format that imgbuild cannot read counts
// with the bytes of its file.
func digest(ctx context.Context, path string) (sum string, size int64, err error) {
	r, _, closer, err := image.Open(path)
	if err != nil {
		return "", 0, fault.New(fault.Input, fmt.Errorf("reading the image: %w", err))
	}
	defer closer.Close()
	h := sha256.New()
	buf, zeros := make([]byte, digestBuffer), make([]byte, digestBuffer)
	at := int64(0)
	// hash takes the bytes up to an offset, from the disk or as zeros.
	hash := func(to int64, data bool) error {
		for at < to {
			b := zeros[:min(to-at, digestBuffer)]
			if data {
				b = buf[:len(b)]
				if n, err := r.ReadAt(b, at); n < len(b) {
					return fmt.Errorf("reading %d bytes at byte %d: %w", len(b), at, err)
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			h.Write(b)
			at += int64(len(b))
		}
		return nil
	}
	for e, err := range disk.DataExtents(r) {
		if err == nil {
			err = hash(e.Off, false)
		}
		if err == nil {
			err = hash(e.End(), true)
		}
		if ctx.Err() != nil {
			return "", 0, context.Cause(ctx)
		}
		if err != nil {
			return "", 0, fault.New(fault.Input, fmt.Errorf("reading the image: %w", err))
		}
	}
	if err := hash(r.Size(), false); err != nil {
		return "", 0, err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), r.Size(), nil
}
