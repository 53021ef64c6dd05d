package carve

import (
	"encoding/binary"
	"strings"
)

// Records of a zip file: APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
const (
	zipLocal       = 0x04034b50
	zipCentral     = 0x02014b50
	zipEnd         = 0x06054b50
	zip64End       = 0x06064b50
	zipLocalLen    = 30
	zipCentralLen  = 46
	zipEndLen      = 22
	zipMembers     = 16 << 10 // followed in one archive
	zipHasTrailer  = 1 << 3   // sizes stand behind the data
	zip64LocLen    = 20
	zip64HeaderLen = 12
)

// measureZip follows the members and the central directory to the end record.
// A member in the middle of an archive that begins earlier is none.
func measureZip(v *View) (Found, bool) {
	z := zipWalk{v: v}
	f := Found{Confidence: Medium}
	members := 0
	for ; members < zipMembers && z.local(); members++ {
	}
	if members == 0 {
		// The first member is there and its end is not.
		return found(min(z.off, v.Len()), Low)
	}
	f.Name, f.Title = z.kind()
	for range zipMembers {
		if !z.central() {
			break
		}
	}
	f.Size = min(z.off, v.Len())
	if size, ok := z.end(); ok {
		if size < 0 {
			return none()
		}
		f.Size, f.Confidence = size, High
	}
	return f, true
}

type zipWalk struct {
	v     *View
	off   int64
	names []string
	mime  string // what the member "mimetype" says, as ODF and EPUB have it
}

// local steps over one member.
func (z *zipWalk) local() bool {
	le := binary.LittleEndian
	h := z.v.Bytes(z.off, zipLocalLen)
	if h == nil || le.Uint32(h) != zipLocal || le.Uint16(h[4:])&0xff > 63 {
		return false
	}
	flags, method, stored := le.Uint16(h[6:]), le.Uint16(h[8:]), int64(le.Uint32(h[18:]))
	nameLen, extra := int64(le.Uint16(h[26:])), int64(le.Uint16(h[28:]))
	if method > 99 || nameLen == 0 {
		return false
	}
	name := ""
	if b := z.v.Bytes(z.off+zipLocalLen, int(min(nameLen, pageSize/4))); b != nil {
		name = string(b)
	}
	if len(z.names) < 64 {
		z.names = append(z.names, name)
	}
	data := z.off + zipLocalLen + nameLen + extra
	if name == "mimetype" && stored > 0 && stored < 128 {
		z.mime = string(z.v.Bytes(data, int(stored)))
	}
	if flags&zipHasTrailer != 0 && stored == 0 {
		return z.trailer(data)
	}
	z.off = data + stored
	return z.off <= z.v.Len()
}

// trailer steps over data of a size that stands behind it (section 4.3.9). Data
// that is an archive itself has such records too.
func (z *zipWalk) trailer(data int64) bool {
	le := binary.LittleEndian
	for next := data; ; next++ {
		next = z.v.Index(next, "PK\x07\x08", "")
		if next < 0 {
			z.off = data
			return false
		}
		b := z.v.Bytes(next, 16)
		if b == nil || le.Uint32(b[8:]) != uint32(next-data) {
			continue
		}
		z.off = next + 16
		if b := z.v.Bytes(z.off, 4); b != nil && b[0] != 'P' { // sizes of 64 bits
			z.off += 8
		}
		return true
	}
}

// central steps over one entry of the central directory.
func (z *zipWalk) central() bool {
	le := binary.LittleEndian
	h := z.v.Bytes(z.off, zipCentralLen)
	if h == nil || le.Uint32(h) != zipCentral {
		return false
	}
	z.off += zipCentralLen + int64(le.Uint16(h[28:])) + int64(le.Uint16(h[30:])) + int64(le.Uint16(h[32:]))
	return true
}

// end reads the end record at the current place. size is that of the archive,
// negative when it begins earlier than the view.
func (z *zipWalk) end() (size int64, ok bool) {
	le := binary.LittleEndian
	if h := z.v.Bytes(z.off, zip64HeaderLen); h != nil && le.Uint32(h) == zip64End {
		z.off += int64(min(le.Uint64(h[4:]), 1<<16)) + zip64HeaderLen + zip64LocLen
	}
	h := z.v.Bytes(z.off, zipEndLen)
	if h == nil || le.Uint32(h) != zipEnd {
		return 0, false
	}
	size = z.off + zipEndLen + int64(le.Uint16(h[20:]))
	directory, at := int64(le.Uint32(h[12:])), int64(le.Uint32(h[16:]))
	if start := z.off - directory - at; at != 0xffffffff && start < 0 && start >= -z.v.Before() {
		if b := z.v.Bytes(start, 4); b != nil && le.Uint32(b) == zipLocal {
			return -1, true
		}
	}
	return min(size, z.v.Len()), true
}

// zipKinds tell an archive's kind by the name of a member.
var zipKinds = []struct{ member, name, title string }{
	{"word/", "docx", "Word document"},
	{"xl/", "xlsx", "Excel workbook"},
	{"ppt/", "pptx", "PowerPoint presentation"},
	{"WEB-INF/", "war", "Java web archive"},
	{"AndroidManifest.xml", "apk", "Android package"},
	{"META-INF/MANIFEST.MF", "jar", "Java archive"},
}

// odfKinds tell it by the end of the media type (ODF 1.2 part 3, section 3.3).
var odfKinds = []struct{ suffix, name, title string }{
	{"opendocument.text", "odt", "OpenDocument text"},
	{"opendocument.spreadsheet", "ods", "OpenDocument spreadsheet"},
	{"opendocument.presentation", "odp", "OpenDocument presentation"},
	{"opendocument.graphics", "odg", "OpenDocument drawing"},
	{"epub+zip", "epub", "EPUB book"},
}

func (z *zipWalk) kind() (name, title string) {
	for _, k := range odfKinds {
		if strings.HasSuffix(strings.TrimSpace(z.mime), k.suffix) {
			return k.name, k.title
		}
	}
	for _, k := range zipKinds {
		for _, n := range z.names {
			if strings.HasPrefix(n, k.member) {
				return k.name, k.title
			}
		}
	}
	return "", ""
}
