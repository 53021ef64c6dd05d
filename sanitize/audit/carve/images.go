package carve

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// measurePNG follows the chunks to IEND (PNG specification, section 5.3).
func measurePNG(v *View) (Found, bool) {
	const sig, overhead, longest = 8, 12, 1 << 31
	f := Found{Confidence: Medium}
	for off := int64(sig); ; {
		h := v.Bytes(off, 8)
		if h == nil || !isLetters(h[4:8]) {
			f.Size = off
			return f, off > sig
		}
		n := int64(binary.BigEndian.Uint32(h))
		kind := string(h[4:8])
		if off == sig && (kind != "IHDR" || n != 13) {
			return none()
		}
		if n >= longest || off+overhead+n > v.Len() {
			f.Size = v.Len()
			return f, off > sig
		}
		if kind == "IHDR" {
			b := v.Bytes(off+4, 21)
			if b == nil || crc32.ChecksumIEEE(b[:17]) != binary.BigEndian.Uint32(b[17:]) {
				return none()
			}
			f.Detail = dimensions(binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]))
		}
		off += overhead + n
		if kind == "IEND" {
			f.Size, f.Confidence = off, High
			return f, true
		}
	}
}

func dimensions(w, h uint32) string { return fmt.Sprintf("%d x %d", w, h) }

func isLetters(b []byte) bool {
	for _, c := range b {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// measureGIF follows the blocks to the trailer (GIF89a, section 12 on).
func measureGIF(v *View) (Found, bool) {
	h := v.Bytes(0, 13)
	if h == nil || h[4] != '7' && h[4] != '9' || h[5] != 'a' {
		return none()
	}
	f := Found{Confidence: Medium}
	w, height := binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint16(h[8:])
	if w == 0 || height == 0 {
		return none()
	}
	f.Detail = dimensions(uint32(w), uint32(height))
	off := int64(13) + colours(h[10])
	for {
		f.Size = off
		b := v.Bytes(off, 2)
		switch {
		case b == nil && v.Len() > off && v.Bytes(off, 1)[0] == 0x3b, b != nil && b[0] == 0x3b:
			f.Size, f.Confidence = off+1, High
			return f, true
		case b == nil:
			f.Size = min(off, v.Len())
			return f, true
		case b[0] == 0x21:
			off += 2
		case b[0] == 0x2c:
			d := v.Bytes(off, 11)
			if d == nil {
				return f, true
			}
			off += 10 + colours(d[9]) + 1
		default:
			f.Confidence = Low
			return f, true
		}
		for {
			n := v.Bytes(off, 1)
			if n == nil {
				f.Size = min(off, v.Len())
				return f, true
			}
			off += 1 + int64(n[0])
			if n[0] == 0 {
				break
			}
		}
	}
}

// colours returns the bytes of the colour table that the packed field tells.
func colours(packed byte) int64 {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

// measureJPEG follows the segments to the first scan, and the entropy-coded
// data to the end marker (ITU T.81, annex B).
func measureJPEG(v *View) (Found, bool) {
	f := Found{Confidence: Low}
	off := int64(2)
	for {
		b := v.Bytes(off, 4)
		if b == nil || b[0] != 0xff || b[1] < 0xc0 && b[1] != 0x01 {
			f.Size = min(off, v.Len())
			return f, off > 4
		}
		kind, n := b[1], int64(binary.BigEndian.Uint16(b[2:]))
		switch {
		case kind == 0xff: // fill bytes
			off++
			continue
		case kind == 0xd9:
			f.Size = off + 2
			return f, f.Confidence > Low
		case kind >= 0xd0 && kind <= 0xd8 || n < 2:
			f.Size = off
			return f, off > 4
		case kind >= 0xc0 && kind <= 0xcf && kind != 0xc4 && kind != 0xc8 && kind != 0xcc:
			if d := v.Bytes(off+5, 4); d != nil {
				f.Detail = dimensions(uint32(binary.BigEndian.Uint16(d[2:])), uint32(binary.BigEndian.Uint16(d)))
				f.Confidence = Medium
			}
		}
		off += 2 + n
		if kind != 0xda {
			continue
		}
		next, marker := v.jpegScan(off)
		if marker == 0 {
			f.Size = min(next, v.Len())
			return f, true
		}
		off = next
		if marker == 0xd9 {
			f.Size = off + 2
			if f.Confidence == Medium {
				f.Confidence = High
			}
			return f, true
		}
	}
}

// jpegScan returns where the entropy-coded data from off on ends, and the
// marker there; 0 when there is none.
func (v *View) jpegScan(off int64) (int64, byte) {
	for end := off + maxSearch; off < end; {
		b := v.some(off)
		b = b[:min(len(b), searchStep)]
		if len(b) == 0 {
			return off, 0
		}
		i := bytes.IndexByte(b, 0xff)
		if n := int64(i); !v.spend(max(n, 0) + 1) {
			return off, 0
		}
		if i < 0 {
			off += int64(len(b))
			continue
		}
		off += int64(i)
		m := v.Bytes(off, 2)
		switch {
		case m == nil:
			return off, 0
		case m[1] == 0 || m[1] >= 0xd0 && m[1] <= 0xd7:
			off += 2
		case m[1] == 0xff:
			off++
		default:
			return off, m[1]
		}
	}
	return off, 0
}

// measureBMP checks the headers (Windows BITMAPFILEHEADER and its followers).
func measureBMP(v *View) (Found, bool) {
	h := v.Bytes(0, 30)
	if h == nil || h[0] != 'B' || h[1] != 'M' {
		return none()
	}
	le := binary.LittleEndian
	size, bits, dib := int64(le.Uint32(h[2:])), int64(le.Uint32(h[10:])), int64(le.Uint32(h[14:]))
	w, height := int32(le.Uint32(h[18:])), int32(le.Uint32(h[22:]))
	planes, depth := le.Uint16(h[26:]), le.Uint16(h[28:])
	if le.Uint32(h[6:]) != 0 || planes != 1 || w <= 0 || height == 0 || depth > 32 || bits < 14+dib || size <= bits {
		return none()
	}
	f, ok := fits(v, size)
	f.Detail = dimensions(uint32(w), uint32(max(height, -height)))
	return f, ok
}

// Tags of TIFF 6.0, sections 3 and 15, which say where the image lies.
const (
	tiffStrips, tiffStripSizes = 273, 279
	tiffTiles, tiffTileSizes   = 324, 325
	tiffPieces                 = 4096 // strips or tiles that are looked at
)

// tiffSizes are the bytes of a value of each type (TIFF 6.0, section 2).
var tiffSizes = [...]int64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

// measureTIFF follows the first directory, and what it says of the image, to
// the last byte (TIFF 6.0, section 2).
func measureTIFF(v *View) (Found, bool) {
	h := v.Bytes(0, 8)
	var bo binary.ByteOrder = binary.LittleEndian
	if h == nil {
		return none()
	}
	if h[0] == 'M' {
		bo = binary.BigEndian
	}
	at := int64(bo.Uint32(h[4:]))
	d := v.Bytes(at, 2)
	if at < 8 || d == nil {
		return none()
	}
	n, last := int64(bo.Uint16(d)), 0
	end := at + 2 + 12*n + 4
	pieces := map[int][2]int64{} // where the values of a tag are, and how many
	wide := map[int]int64{}
	for i := range n {
		b := v.Bytes(at+2+12*i, 12)
		if b == nil || int(bo.Uint16(b)) < last || bo.Uint16(b[2:]) == 0 || bo.Uint16(b[2:]) > 13 {
			return none()
		}
		last = int(bo.Uint16(b))
		size, count, off := tiffSizes[bo.Uint16(b[2:])], int64(bo.Uint32(b[4:])), at+2+12*i+8
		if size*count > 4 {
			off = int64(bo.Uint32(b[8:]))
			end = max(end, off+size*count)
		}
		pieces[last], wide[last] = [2]int64{off, count}, size
	}
	value := func(tag int, i int64) int64 {
		b := v.Bytes(pieces[tag][0]+i*wide[tag], int(wide[tag]))
		switch {
		case b == nil:
			return 0
		case len(b) == 2:
			return int64(bo.Uint16(b))
		case len(b) == 4:
			return int64(bo.Uint32(b))
		}
		return 0
	}
	image := false
	for _, tags := range [][2]int{{tiffStrips, tiffStripSizes}, {tiffTiles, tiffTileSizes}} {
		for i := range min(pieces[tags[0]][1], pieces[tags[1]][1], tiffPieces) {
			end, image = max(end, value(tags[0], i)+value(tags[1], i)), true
		}
	}
	if n == 0 || !image {
		return found(min(end, v.Len()), Low)
	}
	return fits(v, end)
}

// measurePSD checks the header of a Photoshop file.
func measurePSD(v *View) (Found, bool) {
	h := v.Bytes(0, 26)
	if h == nil || !bytes.Equal(h[6:12], make([]byte, 6)) {
		return none()
	}
	be := binary.BigEndian
	if be.Uint16(h[12:]) > 56 || be.Uint32(h[14:]) > 300_000 || be.Uint32(h[18:]) > 300_000 {
		return none()
	}
	f, ok := found(26, Medium)
	f.Detail = dimensions(be.Uint32(h[18:]), be.Uint32(h[14:]))
	return f, ok
}
