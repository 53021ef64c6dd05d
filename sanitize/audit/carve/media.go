package carve

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// riffKinds are the forms of RIFF files.
var riffKinds = map[string][2]string{
	"WAVE": {"wav", "WAVE sound"}, "AVI ": {"avi", "AVI video"}, "WEBP": {"webp", "WebP image"},
	"ACON": {"ani", "animated cursor"}, "RMID": {"rmi", "MIDI music"}, "sfbk": {"sf2", "sound font"},
}

// measureRIFF reads the length of the outer chunk.
func measureRIFF(v *View) (Found, bool) {
	h := v.Bytes(0, 12)
	if h == nil {
		return none()
	}
	kind, known := riffKinds[string(h[8:12])]
	if !known {
		return none()
	}
	n := int64(binary.LittleEndian.Uint32(h[4:]))
	f, ok := fits(v, 8+n+n&1)
	f.Name, f.Title = kind[0], kind[1]
	return f, ok
}

// measureMP4 follows the boxes (ISO/IEC 14496-12, section 4.2), in the order of
// QuickTime too, which has no "ftyp".
func measureMP4(v *View) (Found, bool) {
	f := Found{Confidence: Medium}
	seen := map[string]bool{}
	off := int64(0)
	for range 4096 {
		h := v.Bytes(off, 8)
		if h == nil || !mp4Box(string(h[4:])) {
			break
		}
		kind, n := string(h[4:]), int64(binary.BigEndian.Uint32(h))
		if kind == "ftyp" {
			if b := v.Bytes(off+8, 4); b != nil {
				f.Detail = strings.TrimSpace(string(b))
				if f.Detail == "qt" {
					f.Name, f.Title = "mov", "QuickTime video"
				}
			}
		}
		if n == 1 {
			b := v.Bytes(off+8, 8)
			if b == nil || binary.BigEndian.Uint64(b) > 1<<60 {
				break
			}
			n = int64(binary.BigEndian.Uint64(b))
		}
		if n < 8 {
			break
		}
		seen[kind] = true
		off += n
	}
	if seen["ftyp"] && len(seen) == 1 || len(seen) == 0 {
		return none()
	}
	if !seen["ftyp"] {
		// Without it a box is four letters and a length that chance may give.
		if len(seen) < 2 || !seen["moov"] && !seen["mdat"] || off > v.Len() {
			return none()
		}
		f.Name, f.Title = "mov", "QuickTime video"
	}
	f.Size = off
	if off > v.Len() {
		f.Size = v.Len()
	} else if seen["moov"] {
		f.Confidence = High
	}
	return f, true
}

func mp4Box(kind string) bool {
	switch kind {
	case "ftyp", "moov", "mdat", "free", "skip", "wide", "pnot", "moof", "mfra", "sidx", "styp", "uuid", "meta", "udta", "PICT":
		return true
	}
	return false
}

// measureOgg follows the pages of all streams (RFC 3533, section 6).
func measureOgg(v *View) (Found, bool) {
	f := Found{Confidence: Medium}
	off, open, pages := int64(0), 0, 0
	for ; ; pages++ {
		h := v.Bytes(off, 27)
		if h == nil || string(h[:4]) != "OggS" || h[4] != 0 || h[5] > 7 {
			break
		}
		if h[5]&2 != 0 {
			if pages > 0 && open == 0 {
				break // the next file
			}
			open++
		}
		if h[5]&4 != 0 {
			open--
		}
		segments := int(h[26])
		t := v.Bytes(off+27, segments)
		if t == nil {
			break
		}
		n := int64(27 + segments)
		for _, s := range t {
			n += int64(s)
		}
		off += n
	}
	if pages == 0 {
		return none()
	}
	f.Size = min(off, v.Len())
	if open <= 0 && off <= v.Len() {
		f.Confidence = High
	}
	return f, true
}

// Bit rates in kbit/s and rates in Hz of MPEG audio, layer III (ISO/IEC
// 11172-3 and 13818-3).
var (
	mp3Rates1 = [16]int64{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}
	mp3Rates2 = [16]int64{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}
	mp3Hz     = [4]int64{44100, 48000, 32000}
)

// mp3Frame returns the length of the frame with header h, or 0.
func mp3Frame(h []byte) int64 {
	if h == nil || h[0] != 0xff || h[1]&0xe6 != 0xe2 {
		return 0
	}
	rate, hz, pad := h[2]>>4, mp3Hz[h[2]>>2&3], int64(h[2]>>1&1)
	if hz == 0 || rate == 0 || rate == 15 {
		return 0
	}
	switch h[1] >> 3 & 3 {
	case 3:
		return 144*1000*mp3Rates1[rate]/hz + pad
	case 2:
		return 72*1000*mp3Rates2[rate]/(hz/2) + pad
	case 0:
		return 72*1000*mp3Rates2[rate]/(hz/4) + pad
	}
	return 0
}

// measureMP3 steps over an ID3 tag (ID3v2.4 section 3.1) and follows frames.
func measureMP3(v *View) (Found, bool) {
	const wanted, most = 8, 1 << 20 // frames
	off := int64(0)
	h := v.Bytes(0, 10)
	if h == nil {
		return none()
	}
	tagged := string(h[:3]) == "ID3"
	if tagged {
		if h[3] < 2 || h[3] > 4 || h[6]|h[7]|h[8]|h[9] >= 0x80 {
			return none()
		}
		off = 10 + int64(h[6])<<21 + int64(h[7])<<14 + int64(h[8])<<7 + int64(h[9])
	}
	frames := 0
	for ; frames < most; frames++ {
		n := mp3Frame(v.Bytes(off, 4))
		if n == 0 {
			break
		}
		off += n
	}
	switch {
	case frames >= wanted:
		if b := v.Bytes(off, 128); b != nil && string(b[:3]) == "TAG" {
			off += 128
		}
		return found(min(off, v.Len()), High)
	case tagged:
		return found(min(off, v.Len()), Low)
	}
	return none()
}

// measureFLAC checks the first metadata block (FLAC format, STREAMINFO).
func measureFLAC(v *View) (Found, bool) {
	h := v.Bytes(4, 4)
	if h == nil || h[0]&0x7f != 0 || h[1] != 0 || h[2] != 0 || h[3] != 34 {
		return none()
	}
	off := int64(4)
	for range 128 {
		b := v.Bytes(off, 4)
		if b == nil {
			break
		}
		off += 4 + int64(b[1])<<16 + int64(b[2])<<8 + int64(b[3])
		if b[0]&0x80 != 0 {
			break
		}
	}
	return found(min(off, v.Len()), Medium)
}

// asfProperties is the GUID of the object that tells the size of an ASF file
// (ASF specification, sections 3.1 and 3.2).
const asfProperties = "\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"

func measureASF(v *View) (Found, bool) {
	const header, object, sizeAt = 30, 24, 40
	off := int64(header)
	for range 64 {
		h := v.Bytes(off, object)
		if h == nil {
			break
		}
		n := binary.LittleEndian.Uint64(h[16:])
		if string(h[:16]) == asfProperties {
			b := v.Bytes(off+sizeAt, 8)
			if b == nil || binary.LittleEndian.Uint64(b) > 1<<60 {
				break
			}
			return fits(v, int64(binary.LittleEndian.Uint64(b)))
		}
		if n < object || n > 1<<30 {
			break
		}
		off += int64(n)
	}
	if off == header {
		return none()
	}
	return found(min(off, v.Len()), Medium)
}

// measureMPEG follows packs and packets to the end code (ISO/IEC 13818-1,
// section 2.5.3); a bare video stream runs up to its own end code.
func measureMPEG(v *View) (Found, bool) {
	const most = 1 << 20
	h := v.Bytes(0, 5)
	if h == nil {
		return none()
	}
	if h[3] == 0xb3 {
		if end := v.Index(4, "\x00\x00\x01\xb7", ""); end > 0 {
			return found(end+4, Medium)
		}
		return none()
	}
	off, packs := int64(0), 0
	for range most {
		b := v.Bytes(off, 14)
		if b == nil || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[3] < 0xb9 {
			break
		}
		switch {
		case b[3] == 0xb9:
			return found(off+4, High)
		case b[3] == 0xba && b[4]&0xc0 == 0x40:
			off += 14 + int64(b[13]&7)
			packs++
		case b[3] == 0xba && b[4]&0xf0 == 0x20:
			off += 12
			packs++
		case b[3] == 0xba:
			return none()
		default:
			off += 6 + int64(binary.BigEndian.Uint16(b[4:]))
		}
	}
	if packs < 2 {
		return none()
	}
	return found(min(off, v.Len()), Medium)
}

// measureFLV checks the header of a Flash video.
func measureFLV(v *View) (Found, bool) {
	h := v.Bytes(0, 13)
	if h == nil || h[3] != 1 || h[4]&^5 != 0 || binary.BigEndian.Uint32(h[5:]) != 9 {
		return none()
	}
	off := int64(13)
	for range 1 << 20 {
		t := v.Bytes(off, 11)
		if t == nil || t[0] != 8 && t[0] != 9 && t[0] != 18 {
			break
		}
		off += 15 + int64(t[1])<<16 + int64(t[2])<<8 + int64(t[3])
	}
	return found(min(off, v.Len()), Medium)
}

// measureEBML steps over the header of a Matroska or WebM file and reads how
// long its segment is (RFC 8794; RFC 9559, section 4.5).
func measureEBML(v *View) (Found, bool) {
	const segment = "\x18\x53\x80\x67"
	h := v.Bytes(4, 64)
	if h == nil {
		return none()
	}
	f := Found{Size: 64, Confidence: Medium}
	switch s := string(h); {
	case strings.Contains(s, "webm"):
		f.Name, f.Title = "webm", "WebM video"
	case !strings.Contains(s, "matroska"):
		return none()
	}
	head, n := ebmlSize(h)
	if n == 0 || head > 1<<10 {
		return f, true
	}
	at := 4 + n + head
	b := v.Bytes(at, 12)
	if b == nil || string(b[:4]) != segment {
		return f, true
	}
	size, n := ebmlSize(b[4:])
	if n == 0 {
		return f, true // it was written as it went, and its end is not told
	}
	whole, ok := fits(v, at+4+n+size)
	f.Size, f.Confidence = whole.Size, whole.Confidence
	return f, ok
}

// ebmlSize reads the size of an element, which takes n bytes (RFC 8794, section
// 4). n is 0 when the size is not known.
func ebmlSize(b []byte) (size, n int64) {
	n = int64(bits.LeadingZeros8(b[0])) + 1
	if n > 8 || n > int64(len(b)) {
		return 0, 0
	}
	size = int64(b[0]) & (0xff >> n)
	unknown := size == 0xff>>n
	for _, c := range b[1:n] {
		size = size<<8 | int64(c)
		unknown = unknown && c == 0xff
	}
	if unknown {
		return 0, 0
	}
	return size, n
}

// measureWOFF reads the length of a web font (WOFF 1.0 section 4, WOFF2
// section 4.1).
func measureWOFF(v *View) (Found, bool) {
	h := v.Bytes(0, 16)
	if h == nil || binary.BigEndian.Uint16(h[12:]) == 0 || binary.BigEndian.Uint16(h[14:]) != 0 && h[3] == 'F' {
		return none()
	}
	f, ok := fits(v, int64(binary.BigEndian.Uint32(h[8:])))
	if h[3] == '2' {
		f.Name = "woff2"
	}
	return f, ok
}

// measureSFNT adds up the tables of a TrueType or OpenType font (OpenType,
// section "Table Directory").
func measureSFNT(v *View) (Found, bool) {
	h := v.Bytes(0, 12)
	if h == nil {
		return none()
	}
	n := int64(binary.BigEndian.Uint16(h[4:]))
	if n == 0 || n > 64 {
		return none()
	}
	end, head, text := int64(0), false, false
	for i := range n {
		t := v.Bytes(12+16*i, 16)
		if t == nil {
			return none()
		}
		switch string(t[:4]) {
		case "head":
			head = true
		case "name", "cmap":
			text = true
		}
		end = max(end, int64(binary.BigEndian.Uint32(t[8:]))+int64(binary.BigEndian.Uint32(t[12:])+3)&^3)
	}
	if !head || !text {
		return none()
	}
	f, ok := fits(v, end)
	if h[0] == 'O' {
		f.Name, f.Title = "otf", "OpenType font"
	}
	return f, ok
}
