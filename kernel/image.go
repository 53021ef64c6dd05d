package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Format is the form of a kernel file.
type Format string

// The forms that are understood.
const (
	BzImage Format = "bzimage" // what firmware and boot loaders start
	ELF     Format = "elf"     // what hypervisors start directly, by PVH
)

// Image is what a kernel file says about itself.
type Image struct {
	Format Format
	// Version is the release, such as "6.1.0-56-amd64".
	Version string
	// PVH says that the kernel carries the Xen note for the 32-bit PVH entry,
	// which Xen and QEMU's -kernel with an ELF use.
	PVH bool
	// XenPV says that it carries the Xen note for the entry of a paravirtual
	// guest.
	XenPV bool
	// EFI says that UEFI firmware can start the file itself.
	EFI bool
	// Protocol is the version of a bzImage's boot protocol, such as 0x020f for
	// 2.15; 0 for an ELF.
	Protocol uint16
	// Compression is that of a bzImage's payload; empty for an ELF.
	Compression Compression
	// Config is the configuration the kernel was built with, when it carries
	// one (CONFIG_IKCONFIG); else nil.
	Config map[string]string
}

// Offsets in the setup header (Documentation/arch/x86/boot.rst, "The Real-Mode
// Kernel Header").
const (
	setupSectsAt    = 0x1f1
	bootFlagAt      = 0x1fe
	headerMagicAt   = 0x202
	protocolAt      = 0x206
	versionPtrAt    = 0x20e // from 0x200
	payloadOffsetAt = 0x248 // from the end of the real-mode code
	payloadLengthAt = 0x24c
	headerEnd       = 0x250

	headerMagic      = "HdrS"
	protocolPayload  = 0x0208 // the first protocol that locates the payload
	sectorSize       = 512
	maxVersionString = 256
)

// Identify reads a kernel file. It unpacks a bzImage to learn about the ELF
// inside, which takes the memory of the unpacked kernel, some 20 to 80 MB.
func Identify(r io.ReaderAt, size int64) (Image, error) {
	b, err := readBzImage(r, size)
	if err == nil {
		return b.identify()
	}
	if !errors.Is(err, errNoBzImage) {
		return Image{}, err
	}
	im := Image{Format: ELF}
	if err := im.readELF(r, size); err != nil {
		return Image{}, notKernel(err)
	}
	return im, nil
}

// ExtractELF writes the ELF of a kernel: that inside a bzImage, or the file as
// it is when it is an ELF.
func ExtractELF(ctx context.Context, r io.ReaderAt, size int64, w io.Writer) error {
	from := io.Reader(io.NewSectionReader(r, 0, size))
	var closer io.Closer
	b, err := readBzImage(r, size)
	switch {
	case err == nil:
		p, err := b.open()
		if err != nil {
			return err
		}
		from, closer = p, p
	case !errors.Is(err, errNoBzImage):
		return err
	}
	if closer != nil {
		defer closer.Close()
	}
	magic := make([]byte, len(elfMagic))
	if _, err := io.ReadFull(from, magic); err != nil || string(magic) != elfMagic {
		return notKernel(errors.New("it holds no ELF"))
	}
	if _, err := io.Copy(w, contextReader{ctx, io.MultiReader(bytes.NewReader(magic), from)}); err != nil {
		return fmt.Errorf("extracting the kernel's ELF: %w", err)
	}
	return nil
}

const elfMagic = "\x7fELF"

var errNoBzImage = errors.New("no bzImage header")

func notKernel(err error) error {
	return fault.New(fault.Input, fmt.Errorf("reading the kernel: %w", err),
		"a kernel must be an x86-64 bzImage (vmlinuz) or ELF (vmlinux)")
}

// bzImage is a bzImage with its header checked.
type bzImage struct {
	version  string
	protocol uint16
	efi      bool
	payload  *io.SectionReader
}

// readBzImage checks the header. What is no bzImage at all is errNoBzImage.
func readBzImage(r io.ReaderAt, size int64) (*bzImage, error) {
	h := make([]byte, headerEnd)
	if size < headerEnd {
		return nil, errNoBzImage
	}
	if _, err := r.ReadAt(h, 0); err != nil {
		return nil, fmt.Errorf("reading the kernel: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint16(h[bootFlagAt:]) != 0xaa55 || string(h[headerMagicAt:headerMagicAt+4]) != headerMagic {
		return nil, errNoBzImage
	}
	if p := le.Uint16(h[protocolAt:]); p < protocolPayload {
		return nil, notKernel(fmt.Errorf("boot protocol %d.%02d does not tell where the payload is", p>>8, p&0xff))
	}
	sectors := int64(h[setupSectsAt])
	if sectors == 0 {
		sectors = 4
	}
	off := (sectors+1)*sectorSize + int64(le.Uint32(h[payloadOffsetAt:]))
	length := int64(le.Uint32(h[payloadLengthAt:]))
	if length == 0 || off+length > size {
		return nil, notKernel(fmt.Errorf("the payload, %d bytes at %d, lies beyond the end, %d", length, off, size))
	}
	b := &bzImage{protocol: le.Uint16(h[protocolAt:]), efi: h[0] == 'M' && h[1] == 'Z', payload: io.NewSectionReader(r, off, length)}
	if at := int64(le.Uint16(h[versionPtrAt:])); at != 0 {
		text := make([]byte, maxVersionString)
		n, err := r.ReadAt(text, at+0x200)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("reading the kernel's version: %w", err)
		}
		b.version = firstWord(text[:n])
	}
	return b, nil
}

func (b *bzImage) identify() (Image, error) {
	im := Image{Format: BzImage, EFI: b.efi, Protocol: b.protocol}
	p, err := b.open()
	if err != nil {
		return Image{}, err
	}
	defer p.Close()
	unpacked, err := io.ReadAll(p)
	if err != nil {
		return Image{}, notKernel(fmt.Errorf("unpacking its %s payload: %w", p.compression, err))
	}
	if err := im.readELF(bytes.NewReader(unpacked), int64(len(unpacked))); err != nil {
		return Image{}, notKernel(err)
	}
	im.Compression = p.compression
	if b.version != "" {
		im.Version = b.version
	}
	return im, nil
}

// firstWord returns what stands before the first space, NUL or line end.
func firstWord(b []byte) string {
	if i := bytes.IndexAny(b, " \n\x00"); i >= 0 {
		b = b[:i]
	}
	return strings.ToValidUTF8(string(b), "")
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
