package carve

// maxText is how far a text is followed, in bytes.
const maxText = 16 << 20

// textBytes are the bytes of text files: printable ASCII, white space, and
// what UTF-8 uses beyond.
var textBytes = func() (t [256]bool) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] = true
	}
	for _, c := range []byte("\t\n\r\f\x1b") {
		t[c] = true
	}
	for c := 0x80; c < 0xf5; c++ {
		t[c] = c != 0xc0 && c != 0xc1
	}
	return t
}()

// IsText reports whether all of b could be of a text.
func IsText(b []byte) bool {
	for _, c := range b {
		if !textBytes[c] {
			return false
		}
	}
	return true
}

// textRun returns how many bytes from the beginning of v are text.
func textRun(v *View) int64 {
	off := int64(0)
	for off < maxText {
		b := v.some(off)
		b = b[:min(len(b), searchStep)]
		if !v.spend(int64(len(b))) {
			break
		}
		for i, c := range b {
			if !textBytes[c] {
				return off + int64(i)
			}
		}
		if len(b) == 0 {
			break
		}
		off += int64(len(b))
	}
	return min(off, maxText)
}

// Texts of less than this are chance, or the rest of another thing.
const (
	minText   = 64
	asciiPart = 0.7 // of a text that is taken for one
)

// Text looks for a text file that begins where v does, at a block: texts have
// no anchor. It is tried where the block before ends otherwise.
func Text(v *View) (Found, bool) {
	head := v.Bytes(0, int(min(minText, v.Len())))
	if len(head) < 16 || !IsText(head) {
		return none()
	}
	ascii, lines := 0, 0
	for _, c := range head {
		if c < 0x80 {
			ascii++
		}
		if c == '\n' || c == ' ' {
			lines++
		}
	}
	if float64(ascii) < asciiPart*float64(len(head)) {
		return none()
	}
	n := textRun(v)
	f := Found{Size: n, Confidence: Low, Name: "txt", Title: "plain text"}
	if n >= minText && lines > 0 {
		f.Confidence = Medium
	}
	switch {
	case isJSON(v.Bytes(0, int(min(n, 256)))):
		f.Name, f.Title = "json", "JSON document"
	case n < minText && lines == 0:
		return none()
	}
	return f, true
}

// isJSON reports whether b begins as an object or a list of JSON does.
func isJSON(b []byte) bool {
	b = skipSpace(b)
	if len(b) < 8 || b[0] != '{' && b[0] != '[' {
		return false
	}
	open := b[0]
	b = skipSpace(b[1:])
	if len(b) == 0 {
		return false
	}
	if open == '{' {
		return b[0] == '"' && keyed(b[1:])
	}
	return b[0] == '"' || b[0] == '{' || b[0] == '['
}

// keyed reports whether b goes on as the key of an object.
func keyed(b []byte) bool {
	for i, c := range b {
		if c == '"' {
			b = skipSpace(b[i+1:])
			return len(b) > 0 && b[0] == ':'
		}
	}
	return false
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\r' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}
