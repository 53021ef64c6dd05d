package carve

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
)

// unpacked bounds what is decompressed to find the end of a stream, in bytes.
const unpacked = 64 << 20

// Gzip is the measure of gzip data: a member does not tell its length (RFC
// 1952, section 2.3), so it is decompressed. read is given what comes out; what
// it leaves is thrown away.
func Gzip(v *View, read func(name string, r io.Reader)) (Found, bool) {
	const reserved = 0xe0
	h := v.Bytes(0, 10)
	if h == nil || h[3]&reserved != 0 || h[8] != 0 && h[8] != 2 && h[8] != 4 {
		return none()
	}
	f := Found{Confidence: Medium}
	c := &counter{v: v}
	var err error
	if v.gzip == nil {
		v.packed = bufio.NewReader(c)
		v.gzip, err = gzip.NewReader(v.packed)
	} else {
		v.packed.Reset(c)
		err = v.gzip.Reset(v.packed)
	}
	if err != nil {
		v.gzip = nil
		return none()
	}
	v.gzip.Multistream(false)
	f.Detail = v.gzip.Name
	out := &tail{r: io.LimitReader(v.gzip, min(unpacked, max(v.work, 0)))}
	read(v.gzip.Name, out)
	io.Copy(io.Discard, out)
	left := v.work
	v.spend(out.n)
	switch {
	case out.err == nil && out.n < min(unpacked, left):
		f.Confidence = High
	case out.n == 0:
		return none()
	case out.err != nil:
		f.Confidence = Low
	}
	f.Size = c.off - int64(v.packed.Buffered())
	return f, true
}

func measureGzip(v *View) (Found, bool) { return Gzip(v, func(string, io.Reader) {}) }

// tail is a reader that remembers how it ended.
type tail struct {
	r   io.Reader
	n   int64
	err error // other than io.EOF
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

// counter reads a view and knows how much was read.
type counter struct {
	v   *View
	off int64
}

func (c *counter) Read(p []byte) (int, error) {
	n := copy(p, c.v.some(c.off))
	if c.off += int64(n); n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// measureXZ checks the header and searches the footer (xz format 1.1,
// sections 2.1.1 and 2.1.2).
func measureXZ(v *View) (Found, bool) {
	const header, footer, magic = 12, 12, "\xfd7zXZ\x00"
	h := v.Bytes(0, header)
	if h == nil || h[6] != 0 || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return none()
	}
	flags := string(h[6:8])
	for off := int64(header); ; off += 2 {
		if off = v.Index(off, flags+"YZ", magic); off < 0 {
			return found(header, Medium)
		}
		b := v.Bytes(off-8, footer)
		if b == nil || crc32.ChecksumIEEE(b[4:10]) != binary.LittleEndian.Uint32(b) {
			continue
		}
		if size := off + 4; size%4 == 0 {
			return found(size, High)
		}
	}
}

// measureZstd follows the blocks (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
func measureZstd(v *View) (Found, bool) {
	h := v.Bytes(4, 1)
	if h == nil || h[0]&0x08 != 0 {
		return none()
	}
	single, checksum, size := h[0]&0x20 != 0, h[0]&0x04 != 0, h[0]>>6
	off := int64(5) + []int64{0, 1, 2, 4}[h[0]&3] + []int64{0, 2, 4, 8}[size]
	if !single {
		off++
	} else if size == 0 {
		off++
	}
	for blocks := 0; ; blocks++ {
		b := v.Bytes(off, 3)
		if b == nil || b[0]>>1&3 == 3 {
			if blocks == 0 {
				return none()
			}
			return found(min(off, v.Len()), Medium)
		}
		n := int64(b[0]>>3) | int64(b[1])<<5 | int64(b[2])<<13
		if n > 128<<10 {
			return none()
		}
		if b[0]>>1&3 == 1 {
			n = 1
		}
		off += 3 + n
		if b[0]&1 != 0 {
			if checksum {
				off += 4
			}
			return fits(v, off)
		}
	}
}

// Magic numbers of bzip2 blocks and streams, 48 bits, at any bit.
const (
	bzip2End  = 0x177245385090
	bzip2Mask = 1<<48 - 1
)

// measureBzip2 searches the end of the stream at every bit, which costs as much
// as eight searches.
func measureBzip2(v *View) (Found, bool) {
	h := v.Bytes(0, 10)
	if h == nil || h[3] < '1' || h[3] > '9' {
		return none()
	}
	var window uint64
	for off := int64(10); off < maxSearch; {
		b := v.some(off)
		b = b[:min(len(b), searchStep)]
		if len(b) == 0 || !v.spend(8*int64(len(b))) {
			break
		}
		for i, c := range b {
			window = window<<8 | uint64(c)
			for shift := range 8 {
				if window>>shift&bzip2Mask == bzip2End {
					// A checksum of 32 bits and padding follow.
					return fits(v, off+int64(i)+1+int64(32+7-shift)/8)
				}
			}
		}
		off += int64(len(b))
	}
	return found(10, Medium)
}

// measure7z adds up what the signature header tells (7zFormat.txt).
func measure7z(v *View) (Found, bool) {
	const header = 32
	h := v.Bytes(0, header)
	if h == nil || crc32.ChecksumIEEE(h[12:]) != binary.LittleEndian.Uint32(h[8:]) {
		return none()
	}
	next, n := binary.LittleEndian.Uint64(h[12:]), binary.LittleEndian.Uint64(h[20:])
	if next > 1<<62 || n > 1<<62-header {
		return none()
	}
	return fits(v, int64(header+next+n))
}

// measureRAR follows the blocks of version 4, or those of version 5 (RAR
// technote, section "Archive blocks").
func measureRAR(v *View) (Found, bool) {
	h := v.Bytes(0, 8)
	if h == nil {
		return none()
	}
	if h[6] == 0 {
		return measureRAR4(v)
	}
	off := int64(8)
	for blocks := 0; ; blocks++ {
		b := v.Bytes(off, 14)
		if b == nil {
			b = v.Bytes(off, 8)
		}
		if b == nil {
			return found(min(off, v.Len()), Medium)
		}
		size, n := binary.Uvarint(b[4:])
		if n <= 0 || size == 0 || size > 2<<20 {
			return found(off, Medium)
		}
		head := v.Bytes(off+4+int64(n), int(min(size, 64)))
		kind, k := binary.Uvarint(head)
		if k <= 0 {
			return found(off, Medium)
		}
		flags, m := binary.Uvarint(head[k:])
		off += 4 + int64(n) + int64(size)
		if m > 0 && flags&2 != 0 { // data follows
			rest := head[k+m:]
			if flags&1 != 0 {
				_, x := binary.Uvarint(rest)
				rest = rest[max(x, 0):]
			}
			data, _ := binary.Uvarint(rest)
			off += int64(min(data, 1<<62-1<<40))
		}
		if kind == 5 {
			return fits(v, off)
		}
	}
}

func measureRAR4(v *View) (Found, bool) {
	le := binary.LittleEndian
	for off := int64(7); ; {
		b := v.Bytes(off, 11)
		if b == nil {
			b = v.Bytes(off, 7)
		}
		if b == nil || b[2] < 0x72 || b[2] > 0x7b || le.Uint16(b[5:]) < 7 {
			if off == 7 {
				return none()
			}
			return found(min(off, v.Len()), Medium)
		}
		kind := b[2]
		next := off + int64(le.Uint16(b[5:]))
		if le.Uint16(b[3:])&0x8000 != 0 && len(b) == 11 {
			next += int64(le.Uint32(b[7:]))
		}
		off = next
		if kind == 0x7b {
			return fits(v, off)
		}
	}
}

// measureTar follows the members to the two blocks of zeros at the end (POSIX
// ustar; GNU and old archives alike).
func measureTar(v *View) (Found, bool) {
	const block, members = 512, 64 << 10
	off := int64(0)
	first := ""
	for range members {
		h := v.Bytes(off, block)
		if h == nil {
			break
		}
		if h[0] == 0 && len(bytes.TrimLeft(h, "\x00")) == 0 {
			if off > 0 {
				return Found{Size: min(off+2*block, v.Len()), Confidence: High, Detail: first}, true
			}
			break
		}
		size, ok := tarMember(h)
		if !ok {
			break
		}
		if off == 0 {
			first = string(bytes.TrimRight(h[:100], "\x00"))
		}
		off += block + (size+block-1)/block*block
	}
	return Found{Size: min(off, v.Len()), Confidence: Medium, Detail: first}, off > 0
}

// tarMember checks a header's checksum and returns the size of its data.
func tarMember(h []byte) (int64, bool) {
	sum, want := int64(0), octal(h[148:156])
	for i, c := range h {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	if sum != want {
		return 0, false
	}
	if h[124]&0x80 != 0 { // GNU's binary numbers
		n := binary.BigEndian.Uint64(h[128:])
		return int64(min(n, 1<<60)), true
	}
	return octal(h[124:136]), true
}

// octal reads digits up to a blank or NUL; -1 when there are none.
func octal(b []byte) int64 {
	b = bytes.Trim(b, " \x00")
	if len(b) == 0 {
		return 0
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '7' {
			return -1
		}
		n = n<<3 | int64(c-'0')
	}
	return n
}
