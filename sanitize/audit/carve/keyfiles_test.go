package carve_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestKeysOfOpenSSL measures keys of every algorithm, in the forms in which
// OpenSSL writes them.
func TestKeysOfOpenSSL(t *testing.T) {
	fstest.Need(t, "openssl", "openssl")
	curve := func(name string) []string {
		return []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + name}
	}
	plain, alone := []string{"pkcs8", "-topk8", "-nocrypt"}, []string{"pkey", "-traditional"}
	locked := []string{"pkcs8", "-topk8", "-passout", "pass:secret"}
	for name, c := range map[string]struct {
		want           string
		generate, form []string
	}{
		"P-256":             {"der-key", curve("P-256"), plain},
		"P-384":             {"der-key", curve("P-384"), plain},
		"P-521":             {"der-key", curve("P-521"), plain},
		"Ed25519":           {"der-key", []string{"-algorithm", "ed25519"}, plain},
		"Ed448":             {"der-key", []string{"-algorithm", "ed448"}, plain},
		"X25519":            {"der-key", []string{"-algorithm", "x25519"}, plain},
		"RSA":               {"der-key", []string{"-algorithm", "RSA"}, plain},
		"P-256 encrypted":   {"enc-key", curve("P-256"), locked},
		"RSA encrypted":     {"enc-key", []string{"-algorithm", "RSA"}, locked},
		"Ed25519 encrypted": {"enc-key", []string{"-algorithm", "ed25519"}, locked},
		"P-256 alone":       {"ec-key", curve("P-256"), alone},
		"P-384 alone":       {"ec-key", curve("P-384"), alone},
		"P-521 alone":       {"ec-key", curve("P-521"), alone},
		"RSA alone":         {"rsa-key", []string{"-algorithm", "RSA"}, alone},
	} {
		path := filepath.Join(t.TempDir(), "key")
		fstest.Program(t, "openssl", append([]string{"genpkey", "-out", path + ".pem"}, c.generate...)...)
		fstest.Program(t, "openssl", append(c.form, "-in", path+".pem", "-outform", "DER", "-out", path)...)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checkKey(t, name, c.want, b)
	}
}

// checkKey requires that b is measured to the byte between other bytes.
func checkKey(t *testing.T, name, want string, b []byte) {
	t.Helper()
	const at = 512
	around := bytes.Repeat([]byte{0xa7}, at)
	got, f, ok := measure(append(append(bytes.Clone(around), b...), around...), at)
	if !ok || got != want || f.Size != int64(len(b)) || f.Confidence < carve.High {
		t.Errorf("%s of %d bytes is taken for %s: %+v", name, len(b), got, f)
	}
}

// sequence is a SEQUENCE of DER with a length of two bytes, or of one.
func sequence(parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	if len(b) < 0x80 {
		return append([]byte{0x30, byte(len(b))}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x30, 0x82}, uint16(len(b))), b...)
}

// TestKeyFiles measures forms that no program at hand writes, made by their
// specifications.
func TestKeyFiles(t *testing.T) {
	pbes2 := []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d")
	content := append([]byte{0x04, 0x82, 0x02, 0x00}, bytes.Repeat([]byte{0x5e}, 512)...)
	checkKey(t, "BCFKS", "bcfks", sequence(sequence(sequence(pbes2, sequence([]byte("\x04\x03abc"))), content), sequence([]byte("\x05\x00"))))
	ed := []byte("\x04\x65\x00\x00\x00\x16\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01\x01\x07\x40")
	ed = append(ed, bytes.Repeat([]byte{0x5e}, 69)...)
	checkKey(t, "OpenPGP, old", "pgp-key", append([]byte{0x94, byte(len(ed))}, ed...))
	checkKey(t, "OpenPGP, new", "pgp-key", append([]byte{0xc5, byte(len(ed))}, ed...))
	database := append([]byte("\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5\x00\x00\x04\x00"), bytes.Repeat([]byte{0x5e}, 5000)...)
	if name, f, ok := measure(database, 0); !ok || name != "kdbx" || f.Confidence < carve.Medium {
		t.Errorf("KeePass is taken for %s: %+v", name, f)
	}
}
