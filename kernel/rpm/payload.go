package rpm

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
	"github.com/xi2/xz"
)

// maxWindow bounds what a decoder may keep, in bytes: zstd -22 asks for 128 MiB.
const maxWindow = 128 << 20

// decompress tells the compression of a payload by its first bytes, as rpm's
// own readers do for payloads whose header names none. The function gives back
// what the decoder holds.
func decompress(r io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, err := in.Peek(6)
	if err != nil {
		return nil, nil, short(err)
	}
	none := func() {}
	switch {
	case bytes.HasPrefix(head, []byte("07070")): // cpio(5)
		return in, none, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952 §2.3.1
		z, err := gzip.NewReader(in)
		return z, none, err
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(in), none, nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")): // The .xz File Format §2.1.1.1
		// Not ulikunitz/xz: it does not know the x86 filter that some
		// distributions pack with.
		z, err := xz.NewReader(in, maxWindow)
		return z, none, err
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878 §3.1.1
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case head[0] == 0x5d && head[1] == 0: // xz's doc/lzma-file-format.txt
		z, err := lzma.ReaderConfig{DictCap: maxWindow}.NewReader(in)
		return z, none, err
	}
	return nil, nil, errors.New("its payload has no compression known here")
}
