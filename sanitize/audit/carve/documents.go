package carve

import (
	"bytes"
	"encoding/binary"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pdfLength is the length that a linearised file tells (ISO 32000-1, annex F).
var pdfLength = regexp.MustCompile(`/Linearized[^>]*?/L\s+(\d+)`)

// measurePDF runs to the last %%EOF ahead of the next file, or to the length
// that a linearised file tells.
func measurePDF(v *View) (Found, bool) {
	h := v.Bytes(0, 8)
	if h == nil || h[5] < '0' || h[5] > '9' || h[6] != '.' {
		return none()
	}
	f := Found{Confidence: Low, Size: 8, Detail: "version " + string(h[5:8])}
	if b := v.Bytes(0, int(min(1024, v.Len()))); b != nil {
		if m := pdfLength.FindSubmatch(b); m != nil {
			n, err := strconv.ParseInt(string(m[1]), 10, 48)
			if err == nil && n > 1024 && bytes.Contains(v.Bytes(n-16, 16), []byte("%%EOF")) {
				f.Size, f.Confidence = n, High
				return f, true
			}
		}
		if bytes.Contains(b, []byte(" obj")) {
			f.Confidence = Medium
		}
	}
	sound := f.Confidence
	for off := int64(8); ; {
		end := v.Index(off, "%%EOF", "%PDF-")
		if end < 0 {
			return f, true
		}
		off = end + 5
		f.Size, f.Confidence = off, sound+1
		for range 2 { // the end of the line
			if b := v.Bytes(f.Size, 1); b != nil && (b[0] == '\r' || b[0] == '\n') {
				f.Size++
			}
		}
		// An incremental update begins with an object or a table; anything
		// else is the next file's.
		if b := v.Bytes(f.Size, 16); b == nil || !IsText(b) {
			return f, true
		}
	}
}

// oleStreams tell a compound file's kind by the name of a stream.
var oleStreams = []struct{ stream, name, title string }{
	{"WordDocument", "doc", "Word document"},
	{"Workbook", "xls", "Excel workbook"},
	{"Book", "xls", "Excel workbook"},
	{"PowerPoint Document", "ppt", "PowerPoint presentation"},
	{"__nameid_version1.0", "msg", "Outlook message"},
}

// measureOLE takes the sectors that the allocation table counts ([MS-CFB]
// sections 2.2, 2.3 and 2.6).
func measureOLE(v *View) (Found, bool) {
	le := binary.LittleEndian
	h := v.Bytes(0, 512)
	if h == nil || le.Uint16(h[28:]) != 0xfffe || le.Uint16(h[30:]) != 9 && le.Uint16(h[30:]) != 12 {
		return none()
	}
	sector := int64(1) << le.Uint16(h[30:])
	tables, first := int64(le.Uint32(h[44:])), int64(le.Uint32(h[48:]))
	if tables == 0 || tables > 1<<20 {
		return none()
	}
	f := Found{Confidence: Medium, Size: sector + tables*sector/4*sector}
	// The last table tells where the used sectors end.
	last := min(tables, 109) - 1
	at := int64(le.Uint32(h[76+4*last:]))
	if tables <= 109 {
		if b := v.Bytes((at+1)*sector, int(sector)); b != nil {
			used := sector / 4
			for used > 0 && le.Uint32(b[4*(used-1):]) == math.MaxUint32 {
				used--
			}
			f.Size, f.Confidence = sector+(last*sector/4+used)*sector, High
		}
	}
	if f.Size > v.Len() {
		f.Size, f.Confidence = v.Len(), Medium
	}
	f.Name, f.Title = oleKind(v.Bytes((first+1)*sector, int(sector)))
	return f, true
}

// oleKind reads the first sector of the directory.
func oleKind(b []byte) (name, title string) {
	le := binary.LittleEndian
	names := map[string]bool{}
	for ; len(b) >= 128; b = b[128:] {
		n := int(le.Uint16(b[64:]))
		if n < 2 || n > 64 {
			continue
		}
		var text []uint16
		for i := 0; i+2 < n; i += 2 {
			text = append(text, le.Uint16(b[i:]))
		}
		names[string(utf16.Decode(text))] = true
	}
	for _, k := range oleStreams {
		if names[k.stream] {
			return k.name, k.title
		}
	}
	return "", ""
}

// measureHTML runs to the end tag ahead of the next page.
func measureHTML(v *View) (Found, bool) {
	const head = 512
	b := v.Bytes(0, int(min(head, v.Len())))
	if b == nil || !IsText(b) && !bytes.Contains(b, []byte(">")) {
		return none()
	}
	f := Found{Confidence: Low, Size: int64(len(b))}
	sound := IsText(b)
	from := int64(1)
	if i := bytes.Index(bytes.ToLower(b), []byte("<html")); i > 0 {
		from += int64(i)
	}
	limit := from + maxSearch
	for _, tags := range []pageTags{{"</html>", "<html", 'm'}, {"</HTML>", "<HTML", 'M'}} {
		end, ok := tags.find(v, from, limit)
		if !ok {
			limit = end
			continue
		}
		f.Size, f.Confidence = end, Medium
		if sound {
			f.Confidence = High
		}
		return f, true
	}
	f.Size = textRun(v)
	return f, f.Size > 0
}

// pageTags are the tags at the end of a page and at the beginning of the next,
// and the letter of both that pages have least of.
type pageTags struct {
	end, next string
	letter    byte
}

// find searches from byte off of the file on, and returns where the page ends;
// or where it gave up: at limit, at the next page, or at what the view allows.
// It looks for both tags in one pass.
func (t pageTags) find(v *View, off, limit int64) (end int64, ok bool) {
	inEnd, inNext := strings.IndexByte(t.end, t.letter), strings.IndexByte(t.next, t.letter)
	overlap := int64(len(t.end) - 1)
	for off < limit {
		b := v.some(off)
		b = b[:min(int64(len(b)), searchStep, limit-off)]
		if int64(len(b)) <= overlap {
			// What is at hand ends in a tag, perhaps.
			b = v.Bytes(off, len(t.end))
		}
		if len(b) == 0 || !v.spend(int64(len(b))) {
			break
		}
		for at := 0; ; at++ {
			i := bytes.IndexByte(b[at:], t.letter)
			if i < 0 {
				break
			}
			at += i
			if at >= inEnd && bytes.HasPrefix(b[at-inEnd:], []byte(t.end)) {
				return off + int64(at-inEnd+len(t.end)), true
			}
			if at >= inNext && bytes.HasPrefix(b[at-inNext:], []byte(t.next)) {
				return off + int64(at), false
			}
		}
		off += int64(len(b)) - overlap
	}
	return off, false
}

// measureRTF runs to the brace that closes the document.
func measureRTF(v *View) (Found, bool) {
	n := textRun(v)
	if n < 16 {
		return none()
	}
	return found(n, Medium)
}

// measureMarkup runs to the end of the text.
func measureMarkup(v *View) (Found, bool) {
	n := textRun(v)
	if n < 16 {
		return none()
	}
	f := Found{Size: n, Confidence: Medium}
	if b := v.Bytes(0, int(min(n, 1024))); b != nil {
		switch {
		case bytes.Contains(b, []byte("<svg")):
			f.Name, f.Title = "svg", "SVG image"
		case bytes.Contains(b, []byte("<!DOCTYPE html")), bytes.Contains(b, []byte("<html")):
			f.Name, f.Title = "htm", "HTML page"
		}
	}
	if b := v.Bytes(n-2, 2); b != nil && (b[0] == '>' || b[1] == '>') {
		f.Confidence = High
	}
	return f, true
}

// measureSource runs to the end of the text.
func measureSource(v *View) (Found, bool) {
	n := textRun(v)
	if n < 16 {
		return none()
	}
	return found(n, Low)
}

// measureScript accepts a text that begins as a script does.
func measureScript(v *View) (Found, bool) {
	b := v.Bytes(0, 16)
	n := textRun(v)
	if n < 16 || b == nil || b[2] != '/' && b[3] != '/' {
		return none()
	}
	return found(n, Medium)
}
