package ovf_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// identity lets openssl make a key and a certificate for it, and returns their
// paths.
func identity(t *testing.T, name string, kind ...string) (certificate, key string) {
	t.Helper()
	openssl := disktest.Program(t, "openssl", "openssl")
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if len(kind) == 0 {
		kind = []string{"rsa:2048"}
	}
	args := append([]string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/O=Example/CN=" + name,
		"-keyout", key, "-out", certificate, "-newkey"}, kind...)
	disktest.Run(t, openssl, args...)
	return certificate, key
}

// signing are options with an identity of their own.
func signing(t *testing.T) string {
	certificate, key := identity(t, "maker")
	return fmt.Sprintf(`{"certificate":%q,"key":%q}`, certificate, key)
}

// TestSignedOVA passes the whole contract with a signature.
func TestSignedOVA(t *testing.T) {
	options := signing(t)
	outputtest.Test(t, outputtest.Format{Format: ovf.OVA{}, Options: options, Files: []string{"hello-jvm.ova"}, Check: func(t *testing.T, m outputtest.Made) {
		var order []string
		for _, e := range listing(t, m.Dir.Path("hello-jvm.ova")) {
			order = append(order, e.name)
		}
		if got := strings.Join(order, " "); got != "hello-jvm.ovf hello-jvm.mf hello-jvm.cert hello-jvm-disk1.vmdk" {
			t.Errorf("order: %s", got)
		}
		if v := verdict(t, m.Dir.Path("hello-jvm.ova")); v.State != ovf.Valid || v.Signature == nil {
			t.Errorf("%+v", v)
		}
	}})
}

// TestSigned lets openssl verify the signature, by every digest.
func TestSigned(t *testing.T) {
	openssl := disktest.Program(t, "openssl", "openssl")
	certificate, key := identity(t, "maker")
	for _, hash := range []string{"sha1", "sha256", "sha512"} {
		options := fmt.Sprintf(`{"certificate":%q,"key":%q,"hash":%q}`, certificate, key, hash)
		m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Options: options}, "1 MiB")
		text, err := os.ReadFile(m.Dir.Path("hello-jvm.cert"))
		if err != nil {
			t.Fatal(err)
		}
		line, chain, _ := strings.Cut(string(text), "\n")
		value, ok := strings.CutPrefix(line, strings.ToUpper(hash)+"(hello-jvm.mf)= ")
		signature, err := hex.DecodeString(value)
		if !ok || err != nil {
			t.Fatalf("%.80s: %v", line, err)
		}
		dir := t.TempDir()
		file := func(name string, data []byte) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		public := file("public", []byte(disktest.Run(t, openssl, "x509", "-in", file("chain", []byte(chain)), "-pubkey", "-noout")))
		out := disktest.Run(t, openssl, "dgst", "-"+hash, "-verify", public, "-signature", file("signature", signature), m.Dir.Path("hello-jvm.mf"))
		if !strings.Contains(out, "Verified OK") {
			t.Errorf("%s: openssl says %s", hash, out)
		}
		v := verdict(t, m.Dir.Path("hello-jvm.ovf"))
		if v.State != ovf.Valid || v.Signature == nil || v.Signature.Signer != "CN=maker,O=Example" || !v.Signature.SelfSigned {
			t.Errorf("%s: %+v", hash, v)
		}
	}
}

// TestWrongSignatures changes what is signed, and the signature.
func TestWrongSignatures(t *testing.T) {
	other, _ := identity(t, "other")
	stranger, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	options := signing(t)
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte
		word   string
	}{
		"manifest":       {"hello-jvm.mf", func(b []byte) []byte { return append(b, '\n') }, "not one of this manifest by CN=maker"},
		"signature":      {"hello-jvm.cert", func(b []byte) []byte { b[bytes.IndexByte(b, '=')+2] ^= 1; return b }, "signature"},
		"other signer":   {"hello-jvm.cert", func(b []byte) []byte { return append(b[:bytes.IndexByte(b, '\n')+1], stranger...) }, "by CN=other"},
		"other manifest": {"hello-jvm.cert", replace("hello-jvm.mf", "good-bye.mf"), "good-bye.mf"},
		"no signature":   {"hello-jvm.cert", func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] }, "no signature"},
		"no certificate": {"hello-jvm.cert", func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }, "no certificate"},
		"no hexadecimal": {"hello-jvm.cert", replace("= ", "= zz"), "hexadecimal"},
		"unknown digest": {"hello-jvm.cert", replace("SHA256(", "MD5("), "MD5"},
		"too large":      {"hello-jvm.cert", func(b []byte) []byte { return append(b, make([]byte, 2<<20)...) }, ""},
		"damaged":        {"hello-jvm.cert", replace("MII", "AAA"), ""},
		"many of them":   {"hello-jvm.cert", func(b []byte) []byte { return append(b, bytes.Repeat(stranger, 40)...) }, "more than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Options: options}, "1 MiB")
			edit(t, m.Dir.Path(c.file), c.change)
			v, err := open(t, m.Dir.Path("hello-jvm.ovf")).Verify(t.Context())
			if name == "too large" {
				if err == nil {
					t.Error("a certificate of 2 MiB passed")
				}
				return
			}
			if err != nil || v.State != ovf.Broken || !strings.Contains(strings.Join(v.Problems, "\n"), c.word) {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func TestSigningOptions(t *testing.T) {
	certificate, key := identity(t, "maker")
	curveCertificate, curveKey := identity(t, "curve", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
	shortCertificate, shortKey := identity(t, "short", "rsa:1024")
	other, _ := identity(t, "other")
	secret := filepath.Join(t.TempDir(), "secret")
	disktest.Run(t, "openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:word", "-out", secret)
	old := filepath.Join(t.TempDir(), "old")
	disktest.Run(t, "openssl", "pkey", "-in", key, "-traditional", "-out", old)
	for name, c := range map[string]struct {
		certificate, key string
		kind             fault.Kind
		word             string
	}{
		"no key":             {certificate, "", fault.Recipe, "both"},
		"no certificate":     {"", key, fault.Recipe, "both"},
		"missing":            {certificate + "x", key, fault.Input, "no such file"},
		"swapped":            {key, certificate, fault.Input, "no certificate"},
		"not a key":          {certificate, certificate, fault.Input, "no private key"},
		"of another":         {other, key, fault.Input, "does not belong"},
		"elliptic curve":     {curveCertificate, curveKey, fault.Input, "not one of RSA"},
		"short":              {shortCertificate, shortKey, fault.Input, "1024 bits"},
		"with a passphrase":  {certificate, secret, fault.Input, "passphrase"},
		"as PKCS #1 (right)": {certificate, old, 0, ""},
	} {
		options, err := json.Marshal(map[string]string{"certificate": c.certificate, "key": c.key})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ovf.OVA{}.New(options)
		if c.word == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.word) || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
