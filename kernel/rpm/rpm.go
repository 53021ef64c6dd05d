// Package rpm reads RPM packages: what one is, and the files in it. It needs
// no rpm program, runs no script of the package and trusts none of its bytes.
//
// [Open] reads the headers and checks the digest that the package carries of
// them; [Reader.Next] and [Reader.Read] then give one file after the other, as
// archive/tar does; [Reader.Verify] checks the digest of the payload. Digests
// find damage, not forgery: who vouches for a package is for the lock of the
// recipe to say, which pins it.
//
// # The format
//
// A package is a lead of 96 bytes, which means nothing any more, a signature
// header, padded to eight bytes, a header, and the payload: a cpio archive,
// compressed (rpm's docs/manual/format_v4.md). The payload of format 6, and that
// of packages with files above 4 GiB, has no names in its archive; those are
// refused.
package rpm

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Info is what a package says of itself.
type Info struct {
	Name    string
	Epoch   uint32 // 0 for none
	Version string
	Release string
	Arch    string
}

// String is the package's name as rpm prints it: NAME-VERSION-RELEASE.ARCH.
func (i Info) String() string {
	return i.Name + "-" + i.Version + "-" + i.Release + "." + i.Arch
}

// Reader reads the files of a package, first to last.
type Reader struct {
	Info Info

	packed  io.Reader // the payload as it is stored, hashed on the way
	sum     hash.Hash
	want    string // hex; empty when the package carries none
	archive *archive
	close   func()
}

// The lead: a magic number, and a kind at 6 that tells source packages (1) from
// binary ones (0).
const (
	leadSize  = 96
	leadMagic = "\xed\xab\xee\xdb"
	leadKind  = 6
)

// Open reads the headers of a package.
func Open(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	lead := make([]byte, leadSize)
	if _, err := io.ReadFull(in, lead); err != nil || string(lead[:len(leadMagic)]) != leadMagic {
		return nil, errors.New("reading the package: it is no RPM package")
	}
	if lead[leadKind] != 0 || lead[leadKind+1] != 0 {
		return nil, errors.New("reading the package: it holds sources")
	}
	signature, err := readHeader(in, maxSignature)
	if err != nil {
		return nil, fmt.Errorf("reading the package's signature: %w", err)
	}
	if _, err := io.CopyN(io.Discard, in, int64(-signature.size&7)); err != nil {
		return nil, fmt.Errorf("reading the package's signature: %w", short(err))
	}
	h, err := readHeader(in, maxHeader)
	if err != nil {
		return nil, fmt.Errorf("reading the package's header: %w", err)
	}
	if want := signature.text(tagHeaderSHA256); want != "" && want != h.sha256 {
		return nil, fmt.Errorf("reading the package's header: its SHA-256 is %s, not %s", h.sha256, want)
	}
	p := &Reader{
		Info: Info{Name: h.text(tagName), Epoch: h.number(tagEpoch), Version: h.text(tagVersion), Release: h.text(tagRelease), Arch: h.text(tagArch)},
		sum:  sha256.New(),
	}
	if p.Info.Name == "" || p.Info.Version == "" || p.Info.Release == "" {
		return nil, errors.New("reading the package's header: it names no package, version and release")
	}
	if h.number(tagPayloadAlgorithm) == algorithmSHA256 {
		p.want = h.text(tagPayloadDigest)
	}
	p.packed = io.TeeReader(in, p.sum)
	unpacked, done, err := decompress(p.packed)
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", p.Info, err)
	}
	p.archive, p.close = &archive{r: bufio.NewReaderSize(unpacked, 1<<16)}, done
	return p, nil
}

// Next moves to the next file. It returns io.EOF behind the last one.
func (p *Reader) Next() (*File, error) {
	f, err := p.archive.next()
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("unpacking %s: %w", p.Info, err)
	}
	return f, err
}

// Read reads the content of the current file.
func (p *Reader) Read(b []byte) (int, error) {
	n, err := p.archive.Read(b)
	if err != nil && err != io.EOF {
		return n, fmt.Errorf("unpacking %s: %w", p.Info, err)
	}
	return n, err
}

// Verify reads the rest of the package and compares the digest of its payload
// with the one in its header. Packages of before 2017 carry none.
func (p *Reader) Verify() error {
	if _, err := io.Copy(io.Discard, p.packed); err != nil {
		return fmt.Errorf("reading %s: %w", p.Info, err)
	}
	if got := hex.EncodeToString(p.sum.Sum(nil)); p.want != "" && got != p.want {
		return fmt.Errorf("reading %s: the SHA-256 of its payload is %s, not %s", p.Info, got, p.want)
	}
	return nil
}

// Close ends the unpacking.
func (p *Reader) Close() error {
	p.close()
	return nil
}

// short names the end of a file that came too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
