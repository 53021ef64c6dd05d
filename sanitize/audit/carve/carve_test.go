package carve_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// picture is an image with some structure.
func picture() image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, 120, 80))
	for i := range m.Pix {
		m.Pix[i] = byte(i*i>>3 ^ i)
	}
	m.Set(3, 4, color.White)
	return m
}

func encode(t testing.TB, write func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(names ...string) func(w io.Writer) error {
	return func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, n := range names {
			m, err := z.Create(n)
			if err != nil {
				return err
			}
			if _, err := m.Write([]byte(strings.Repeat(n, 100))); err != nil {
				return err
			}
		}
		return z.Close()
	}
}

func tarred(w io.Writer) error {
	t := tar.NewWriter(w)
	for _, n := range []string{"one", "two"} {
		if err := t.WriteHeader(&tar.Header{Name: n, Size: 700, Mode: 0o644}); err != nil {
			return err
		}
		if _, err := t.Write(bytes.Repeat([]byte(n), 700)[:700]); err != nil {
			return err
		}
	}
	return t.Close()
}

func riff(kind string, n int) []byte {
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(n+len(kind)))...)
	return append(append(b, kind...), make([]byte, n)...)
}

// samples are files, made by encoders of others where there are some, by the
// name that carving gives them.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(7)}, &x509.Certificate{SerialNumber: big.NewInt(7)}, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("A line of a text that nobody would miss.\n", 40)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string][]byte{
		"elf":     program,
		"png":     encode(t, func(w io.Writer) error { return png.Encode(w, picture()) }),
		"jpg":     encode(t, func(w io.Writer) error { return jpeg.Encode(w, picture(), nil) }),
		"gif":     encode(t, func(w io.Writer) error { return gif.Encode(w, picture(), nil) }),
		"zip":     encode(t, zipped("a.txt", "b.txt")),
		"jar":     encode(t, zipped("META-INF/MANIFEST.MF", "A.class")),
		"docx":    encode(t, zipped("[Content_Types].xml", "word/document.xml")),
		"tar":     encode(t, tarred),
		"wav":     riff("WAVEfmt ", 200),
		"avi":     riff("AVI LIST", 200),
		"der-key": pkcs8, "ec-key": sec1, "rsa-key": x509.MarshalPKCS1PrivateKey(rsaKey), "der-crt": cert,
		"crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"htm": []byte("<html><body>" + text + "</body></html>"),
		"xml": []byte("<?xml version=\"1.0\"?>\n<a>" + text + "</a>"),
		"sh":  []byte("#!/bin/sh\n" + text),
		"pdf": []byte("%PDF-1.4\n1 0 obj\n<< >>\nendobj\n" + text + "\ntrailer\n%%EOF\n"),
		"gz": encode(t, func(w io.Writer) error {
			z := gzip.NewWriter(w)
			z.Write([]byte(text))
			return z.Close()
		}),
		"xz": encode(t, func(w io.Writer) error {
			z, err := xz.NewWriter(w)
			if err != nil {
				return err
			}
			z.Write([]byte(text))
			return z.Close()
		}),
		"zst": encode(t, func(w io.Writer) error {
			z, err := zstd.NewWriter(w)
			if err != nil {
				return err
			}
			z.Write([]byte(text))
			return z.Close()
		}),
	}
	return list
}

// measure finds the type that recognises the file at byte at of b.
func measure(b []byte, at int64) (name string, f carve.Found, ok bool) {
	v := carve.NewView(carve.Window{Data: b[:min(len(b), 5000)], End: int64(len(b)), Rest: bytes.NewReader(b)})
	for _, typ := range carve.Types() {
		for _, a := range typ.Anchors {
			head := b[min(at+a.At, int64(len(b))):]
			if len(head) < len(a.Text) || !strings.EqualFold(string(head[:len(a.Text)]), a.Text) || !a.Fold && string(head[:len(a.Text)]) != a.Text {
				continue
			}
			v.MoveTo(at)
			if f, ok := typ.Measure(v); ok {
				name := typ.Name
				if f.Name != "" {
					name = f.Name
				}
				return name, f, true
			}
		}
	}
	return "", carve.Found{}, false
}

// TestSizes shows that a file between others is measured to the byte.
func TestSizes(t *testing.T) {
	inexact := map[string]bool{"sh": true, "xml": true}
	for want, content := range samples(t) {
		b := append(bytes.Repeat([]byte{0xa7}, 512), content...)
		b = append(b, bytes.Repeat([]byte{0x00, 0xa7}, 3000)...)
		name, f, ok := measure(b, 512)
		if !ok || name != want || f.Confidence < carve.Medium || !inexact[want] && f.Confidence != carve.High {
			t.Errorf("%s is taken for %s: %+v", want, name, f)
		}
		if f.Size != int64(len(content)) {
			t.Errorf("%s has %d bytes, not %d", want, len(content), f.Size)
		}
	}
}

// TestCut shows that a file whose end is overwritten is no sure one, or is
// found with what is left.
func TestCut(t *testing.T) {
	for name, content := range samples(t) {
		half := content[:len(content)/2]
		b := append(bytes.Clone(half), make([]byte, 3)...)
		if _, f, ok := measure(b, 0); ok && f.Size > int64(len(b)) {
			t.Errorf("half of %s has %d bytes of %d", name, f.Size, len(b))
		}
	}
}

// TestPages shows where a page ends: at its own end tag in either case, also
// where what is at hand ends in the tag, and never behind the next page.
func TestPages(t *testing.T) {
	head := "<html><body>" + strings.Repeat("mm <hm htm /html> ", 40)
	for tail, want := range map[string]string{
		"</html>":                 "</html>",
		"</HTML>\n":               "</HTML>",
		"\x00<html>m</html>":      "",
		"\x00<html></HTML>":       "",
		"</html><html></html>":    "</html>",
		"</HTML><p></p></html>\n": "</HTML><p></p></html>",
	} {
		for _, n := range []int{4990, 4993, 4996, 4999, 64<<10 + 4997, 128<<10 - 3} {
			page := head + strings.Repeat(" ", n-len(head))
			name, f, ok := measure([]byte(page+tail), 0)
			sound := want != ""
			if !ok || name != "htm" || sound && f.Size != int64(n+len(want)) || sound != (f.Confidence >= carve.Medium) {
				t.Errorf("%d bytes and %q are %s: %+v", n, tail, name, f)
			}
		}
	}
}

// TestMiddleOfZip shows that a member is not taken for an archive.
func TestMiddleOfZip(t *testing.T) {
	b := encode(t, zipped("a.txt", "b.txt"))
	at := bytes.LastIndex(b, []byte("PK\x03\x04"))
	if name, f, ok := measure(b, int64(at)); ok {
		t.Errorf("the second member is %s: %+v", name, f)
	}
}

// FuzzMeasure shows that no bytes make a measure fail, read outside of its
// bounds or tell a size that is not there.
func FuzzMeasure(f *testing.F) {
	for name, b := range samples(f) {
		if name != "elf" {
			f.Add(b)
		}
	}
	f.Add([]byte("PE\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := carve.NewView(carve.Window{Data: b[:len(b)/2], End: int64(len(b)), Rest: bytes.NewReader(b)})
		for _, typ := range carve.Types() {
			for _, at := range []int64{0, int64(len(b) / 3)} {
				if !v.MoveTo(at) {
					continue
				}
				x, ok := typ.Measure(v)
				if ok && (x.Size <= 0 || x.Back < 0 || x.Back > at || x.Size-x.Back > v.Len() || x.Confidence == 0) {
					t.Errorf("%s at %d of %d: %+v", typ.Name, at, len(b), x)
				}
			}
		}
		if v.MoveTo(0) {
			carve.Text(v)
		}
	})
}
