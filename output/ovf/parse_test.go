package ovf

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestForeign reads descriptors in the manner of other makers.
func TestForeign(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.ovf")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !IsDescriptor(text[:512]) {
			t.Errorf("%s is not taken for a descriptor", path)
		}
		e, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, err := json.MarshalIndent(describe(e), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden := stem(path) + ".json"
		if *update {
			if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, word := range map[string]string{
		"":                      "EOF",
		"<html/>":               "root is html",
		"<Envelope>":            "EOF",
		"<Envelope></Envelope>": "no virtual system",
		"<Envelope>&bomb;":      "entity",
		"\xff\xfe<\x00":         "parsing",
		`<?xml version="1.0" encoding="EBCDIC"?><Envelope/>`:                                   "EBCDIC",
		"<Envelope><References>" + strings.Repeat("<File/>", 300) + "</References></Envelope>": "300 files",
		strings.Repeat("<VirtualSystemCollection>", 20_000):                                    "depth",
		"<Envelope>" + strings.Repeat("<VirtualSystemCollection>", 20_000) + "x":               "depth",
		"<Envelope><VirtualSystem id='1'><Name>a</VirtualSystem></Envelope>":                   "closed by",
		"<Envelope><VirtualSystem/></Envelope" + strings.Repeat(" ", 10):                       "EOF",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%.80q: %v", text, err)
		}
	}
}

func TestInBytes(t *testing.T) {
	for _, c := range []struct {
		quantity, unit string
		want           int64
	}{
		{"512", "", 512},
		{" 512 ", "byte", 512},
		{"5", "byte * 2^20", 5 << 20},
		{"5", "byte*1024", 5 << 10},
		{"5", "Byte * 10^3 * 2", 10_000},
		{"5", "MegaBytes", 5 << 20},
		{"5", "GB", 5 << 30},
		{"0", "byte * 2^60", 0},
	} {
		if got, err := inBytes(c.quantity, c.unit); got != c.want || err != nil {
			t.Errorf("%q of %q: %d, %v", c.quantity, c.unit, got, err)
		}
	}
	for _, c := range [][2]string{
		{"", ""}, {"-1", ""}, {"${size}", "byte"}, {"1.5", "byte"}, {"1", "hertz * 10^6"}, {"1", "byte * x"}, {"1", "byte * 2^x"},
		{"1", "byte * 2^64"}, {"16", "byte * 2^60"}, {"1", "byte * 2^70"}, {"1", "byte *"}, {"1", "* 2"}, {"18446744073709551615", ""},
	} {
		if got, err := inBytes(c[0], c[1]); err == nil {
			t.Errorf("%q of %q passed as %d", c[0], c[1], got)
		}
	}
}

func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.ovf")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		IsDescriptor(text)
		e, err := parse(text)
		if err != nil {
			return
		}
		d := describe(e)
		if len(d.Notes) > 100 {
			t.Errorf("%d notes", len(d.Notes))
		}
		for _, m := range d.Machines {
			if m.Memory < 0 || m.CPUs < 0 {
				t.Errorf("%+v", m)
			}
		}
		for _, k := range d.Disks {
			if k.Capacity < 0 {
				t.Errorf("%+v", k)
			}
		}
	})
}

func FuzzManifestEntry(f *testing.F) {
	f.Add("SHA256(a)= 00")
	f.Add("SHA1 (a(b)) = 00")
	f.Fuzz(func(t *testing.T, line string) {
		algorithm, file, sum, ok := manifestEntry(line)
		if ok && len(algorithm)+len(file)+len(sum) > 4*len(line) {
			t.Errorf("%q %q %q of %q", algorithm, file, sum, line)
		}
	})
}

func FuzzSignature(f *testing.F) {
	for _, name := range []string{"testdata/signed.cert"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := signature(text, "a.mf", []byte("SHA256(a.ovf)= 00\n")); s == nil && err == nil {
			t.Error("neither a signature nor an error")
		}
	})
}
