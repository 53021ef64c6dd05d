package qcow2

import (
	"bytes"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk/internal/pipe"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Compression says how clusters are compressed.
type Compression int

// The ways to compress. QEMU reads zstd since 5.1.
const (
	None Compression = iota
	Deflate
	Zstd
)

// packer returns a function that compresses a cluster with raw deflate (RFC
// 1951) or as one zstd frame without checksum.
func (c Compression) packer() (pipe.Packer, error) {
	if c == Zstd {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
			zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(clusterSize), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
		return func(dst, block []byte) ([]byte, error) { return enc.EncodeAll(block, dst), nil }, nil
	}
	w, err := flate.NewWriter(io.Discard, deflateLevel)
	if err != nil {
		return nil, err
	}
	return func(dst, block []byte) ([]byte, error) {
		out := bytes.NewBuffer(dst)
		w.Reset(out)
		if _, err := w.Write(block); err != nil {
			return dst, err
		}
		err := w.Close()
		return out.Bytes(), err
	}, nil
}

// unpack decompresses one cluster of exactly size bytes. packed may have any
// bytes behind the stream: the format stores no exact length.
func (c Compression) unpack(packed []byte, size int64) ([]byte, error) {
	var in io.Reader
	if c == Zstd {
		dec, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		defer dec.Close()
		in = dec
	} else {
		in = flate.NewReader(bytes.NewReader(packed))
	}
	cluster := make([]byte, size)
	if n, err := io.ReadFull(in, cluster); err != nil {
		return nil, fmt.Errorf("decompressing: %d bytes of %d: %w", n, size, err)
	}
	return cluster, nil
}
