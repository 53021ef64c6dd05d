package carve

import (
	"encoding/binary"
	"strings"
)

// measureSQLite multiplies pages (SQLite file format, section 1.3).
func measureSQLite(v *View) (Found, bool) {
	h := v.Bytes(0, 100)
	if h == nil || h[21] != 64 || h[22] != 32 || h[23] != 32 {
		return none()
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 {
		return none()
	}
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	if pages == 0 {
		return found(page, Medium)
	}
	return fits(v, page*pages)
}

// measurePcap follows the packets (libpcap, pcap-savefile(5)).
func measurePcap(v *View) (Found, bool) {
	h := v.Bytes(0, 24)
	if h == nil {
		return none()
	}
	var bo binary.ByteOrder = binary.LittleEndian
	if h[0] == 0xa1 {
		bo = binary.BigEndian
	}
	if bo.Uint16(h[4:]) != 2 || bo.Uint16(h[6:]) != 4 {
		return none()
	}
	off, packets := int64(24), 0
	for range 1 << 20 {
		p := v.Bytes(off, 16)
		if p == nil {
			break
		}
		stored, whole := bo.Uint32(p[8:]), bo.Uint32(p[12:])
		if stored == 0 || stored > 256<<10 || whole < stored {
			break
		}
		off += 16 + int64(stored)
		packets++
	}
	if packets == 0 {
		return found(off, Medium)
	}
	return found(min(off, v.Len()), High)
}

// measurePcapNG follows the blocks (draft-ietf-opsawg-pcapng, section 3.1).
func measurePcapNG(v *View) (Found, bool) {
	const order = 0x1a2b3c4d
	h := v.Bytes(0, 12)
	if h == nil {
		return none()
	}
	var bo binary.ByteOrder = binary.LittleEndian
	if binary.BigEndian.Uint32(h[8:]) == order {
		bo = binary.BigEndian
	} else if bo.Uint32(h[8:]) != order {
		return none()
	}
	off := int64(0)
	for range 1 << 20 {
		b := v.Bytes(off, 8)
		if b == nil {
			break
		}
		n := int64(bo.Uint32(b[4:]))
		if n < 12 || n%4 != 0 || n > 1<<24 {
			break
		}
		if t := v.Bytes(off+n-4, 4); t == nil || int64(bo.Uint32(t)) != n {
			break
		}
		off += n
	}
	if off == 0 {
		return none()
	}
	return found(off, High)
}

// measureHPROF follows the records of a heap dump (hprof manual of the JDK,
// "HPROF binary format").
func measureHPROF(v *View) (Found, bool) {
	b := v.Bytes(0, 32)
	if b == nil || b[16] != '.' || b[18] != 0 {
		return none()
	}
	off := int64(19 + 4 + 8)
	records := 0
	for ; records < 1<<20; records++ {
		r := v.Bytes(off, 9)
		if r == nil || r[0] == 0 || r[0] > 0x2c || r[0] > 0x0e && r[0] < 0x1c {
			break
		}
		off += 9 + int64(binary.BigEndian.Uint32(r[5:]))
	}
	if records == 0 {
		return none()
	}
	return found(min(off, v.Len()), High)
}

// measureHive checks the base block of a registry hive.
func measureHive(v *View) (Found, bool) {
	h := v.Bytes(0, 512)
	if h == nil {
		return none()
	}
	le := binary.LittleEndian
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= le.Uint32(h[i:])
	}
	if sum != le.Uint32(h[508:]) {
		return none()
	}
	f, ok := fits(v, 4096+int64(le.Uint32(h[40:])))
	f.Detail = strings.TrimRight(utf16Text(h[48:112]), "\x00")
	if name := strings.ToUpper(f.Detail); strings.HasSuffix(name, `\SAM`) || strings.HasSuffix(name, `\SECURITY`) {
		f.Name, f.Title = "sam", "Windows hive with password hashes"
	}
	return f, ok
}

// utf16Text decodes the ASCII part of a little-endian text.
func utf16Text(b []byte) string {
	var s strings.Builder
	for i := 0; i+1 < len(b); i += 2 {
		if b[i+1] == 0 && b[i] != 0 {
			s.WriteByte(b[i])
		}
	}
	return s.String()
}

// measureEVTX counts the chunks of a Windows event log.
func measureEVTX(v *View) (Found, bool) {
	const block, chunk = 4096, 64 << 10
	h := v.Bytes(0, 48)
	if h == nil || binary.LittleEndian.Uint16(h[40:]) != block {
		return none()
	}
	return fits(v, block+chunk*int64(binary.LittleEndian.Uint16(h[42:])))
}

// measureAr follows the members of an archive as ar(5) has them; a Debian
// package is one.
func measureAr(v *View) (Found, bool) {
	off := int64(8)
	f := Found{Confidence: Medium}
	for range 64 << 10 {
		h := v.Bytes(off, 60)
		if h == nil || h[58] != '`' || h[59] != '\n' {
			break
		}
		if off == 8 && strings.HasPrefix(string(h), "debian-binary") {
			f.Name, f.Title = "deb", "Debian package"
		}
		n := int64(0)
		for _, c := range h[48:58] {
			if c < '0' || c > '9' {
				break
			}
			n = n*10 + int64(c-'0')
		}
		off += 60 + n + n&1
	}
	if off == 8 {
		return none()
	}
	f.Size = min(off, v.Len())
	if off <= v.Len() {
		f.Confidence = High
	}
	return f, true
}

// measureRPM checks the lead and adds up signature and header (RPM file
// format); the payload runs on.
func measureRPM(v *View) (Found, bool) {
	const lead = 96
	h := v.Bytes(lead, 16)
	if h == nil || string(h[:3]) != "\x8e\xad\xe8" {
		return none()
	}
	n := 16*int64(binary.BigEndian.Uint32(h[8:])) + int64(binary.BigEndian.Uint32(h[12:]))
	return found(min(lead+16+n, v.Len()), Medium)
}
