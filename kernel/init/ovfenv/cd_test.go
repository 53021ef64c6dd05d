package ovfenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// burn makes a CD of a folder by a real program.
func burn(t testing.TB, program, debian string, args []string, files map[string]string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed (Debian package %s)", program, debian)
		}
		t.Skipf("%s is not installed (Debian package %s)", program, debian)
	}
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, "root", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "cd.iso")
	args = append(append([]string{}, args...), "-o", image, filepath.Join(dir, "root"))
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const small = "<Environment/>"

func TestReadCD(t *testing.T) {
	many := map[string]string{"ovf-env.xml": small}
	for _, a := range "abcdefghijklmnopqrst" {
		for _, b := range "abcdefghij" {
			many["a-rather-long-name-"+string(a)+string(b)] = ""
		}
	}
	alone := map[string]string{"ovf-env.xml": small}
	for _, c := range []struct {
		name, program string
		args          []string
		files         map[string]string
	}{
		{"plain", "genisoimage", []string{"-quiet"}, alone},
		{"relaxed", "genisoimage", []string{"-quiet", "-relaxed-filenames", "-allow-lowercase", "-omit-version-number"}, alone},
		{"joliet", "genisoimage", []string{"-quiet", "-J"}, alone},
		{"rock ridge", "genisoimage", []string{"-quiet", "-R", "-J", "-V", "OVF ENV"}, alone},
		{"many files", "genisoimage", []string{"-quiet", "-R"}, many},
		{"xorriso", "xorriso", []string{"-as", "mkisofs", "-quiet", "-r", "-J"}, alone},
		{"large", "genisoimage", []string{"-quiet"}, map[string]string{"ovf-env.xml": strings.Repeat("x", MaxDocument)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadCD(bytes.NewReader(burn(t, c.program, c.program, c.args, c.files)))
			if err != nil || string(got) != c.files["ovf-env.xml"] {
				t.Errorf("read %.40q, %v", got, err)
			}
		})
	}
}

// TestReadNothing has what is no CD with a document.
func TestReadNothing(t *testing.T) {
	other := burn(t, "genisoimage", "genisoimage", []string{"-quiet", "-R", "-J"},
		map[string]string{"ovf-env.xml.old": "x", "sub/ovf-env.xml": "y", "ovf-env": "z"})
	for name, b := range map[string][]byte{
		"empty": nil, "zeroes": make([]byte, 1<<20), "short": []byte(strings.Repeat("CD001", 7000)), "another CD": other,
	} {
		if got, err := ReadCD(bytes.NewReader(b)); !errors.Is(err, ErrNone) {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
	}
}

// TestDamagedCD changes one place of a good CD.
func TestDamagedCD(t *testing.T) {
	good := burn(t, "genisoimage", "genisoimage", []string{"-quiet"}, map[string]string{"ovf-env.xml": small})
	volume := firstDescriptor * sectorSize
	root := int(binary.LittleEndian.Uint32(good[volume+offsetRoot+2:])) * sectorSize
	file := root + bytes.Index(good[root:], []byte("OVF_ENV.XML")) - 33
	for _, c := range []struct {
		name string
		at   int
		to   []byte
		want string
	}{
		{"block size", volume + offsetBlockSize, []byte{0, 0}, "a block has 0 bytes"},
		{"root beyond the end", volume + offsetRoot + 2, []byte{0xff, 0xff, 0xff, 0xff}, "EOF"},
		{"root of 4 GiB", volume + offsetRoot + 10, []byte{0xff, 0xff, 0xff, 0xff}, "more than 262144"},
		{"file beyond the end", file + 2, []byte{0xff, 0xff, 0xff, 0x7f}, "EOF"},
		{"file of 4 GiB", file + 10, []byte{0xff, 0xff, 0xff, 0xff}, "more than 1048576"},
		{"file in pieces", file + 25, []byte{flagMore}, "in pieces"},
		{"interleaved", file + 26, []byte{1, 1}, "in pieces"},
		{"long name", file + 32, []byte{0xff}, "a record has"},
		{"short record", file, []byte{33}, "a record has 33 bytes"},
		{"the CD goes on", volume + sectorSize, append([]byte{2}, "CD001"...), ""}, // not Joliet's: looked past
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := bytes.Clone(good)
			copy(bad[c.at:], c.to)
			got, err := ReadCD(bytes.NewReader(bad))
			if c.want == "" && (err != nil || string(got) != small) {
				t.Errorf("read %q, %v", got, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzReadCD(f *testing.F) {
	for _, args := range [][]string{{"-quiet"}, {"-quiet", "-R", "-J"}} {
		f.Add(burn(f, "genisoimage", "genisoimage", args, map[string]string{"ovf-env.xml": small})[firstDescriptor*sectorSize:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := ReadCD(bytes.NewReader(append(make([]byte, firstDescriptor*sectorSize), b...))); err == nil && len(got) > MaxDocument {
			t.Errorf("a document of %d bytes", len(got))
		}
	})
}
