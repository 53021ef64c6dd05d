package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/xi2/xz"
)

// Compressors, FORMAT "definitions for compression".
const (
	compressGzip = 1
	compressXZ   = 4
	compressLZ4  = 5
	compressZstd = 6
)

// errLong is the error of a block that unpacks into more than it may.
var errLong = errors.New("a block is longer than it may be")

// unpacker returns the function that unpacks a block into at most limit bytes.
func unpacker(id uint16) (func(packed []byte, limit int) ([]byte, error), error) {
	switch id {
	case compressGzip:
		return unpackZlib, nil
	case compressXZ:
		return unpackXZ, nil
	case compressLZ4:
		return unpackLZ4, nil
	case compressZstd:
		d, err := zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock))
		if err != nil {
			return nil, err
		}
		return func(packed []byte, limit int) ([]byte, error) {
			b, err := d.DecodeAll(packed, nil)
			if len(b) > limit {
				return nil, errLong
			}
			return b, err
		}, nil
	}
	return nil, fmt.Errorf("compressor %d is not read", id)
}

func unpackZlib(packed []byte, limit int) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return upTo(r, limit)
}

func unpackXZ(packed []byte, limit int) ([]byte, error) {
	r, err := xz.NewReader(bytes.NewReader(packed), maxBlock) // of the dictionary, in bytes
	if err != nil {
		return nil, err
	}
	return upTo(r, limit)
}

func unpackLZ4(packed []byte, limit int) ([]byte, error) {
	b := make([]byte, limit)
	n, err := lz4.UncompressBlock(packed, b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

// upTo reads at most limit bytes, and is an error for more.
func upTo(r io.Reader, limit int) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errLong
	}
	return b.Bytes(), err
}
