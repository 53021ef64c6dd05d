package cds

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build makes an archive of two regions with the given words in the second.
func build(words ...uint64) []byte {
	l := layout{header: 0x100, regions: []region{{0x10, 0x1000, 0x1080}, {0x58, 0x2000, 0x2000 + word*len(words)}}}
	a := make([]byte, 0x3000)
	binary.LittleEndian.PutUint32(a, magic)
	binary.LittleEndian.PutUint32(a[8:], 11)
	for i, r := range l.regions {
		binary.LittleEndian.PutUint32(a[r.sum+4:], uint32(i))
		binary.LittleEndian.PutUint64(a[r.sum+regionOffset:], uint64(r.begin))
		binary.LittleEndian.PutUint64(a[r.sum+regionUsed:], uint64(r.end-r.begin))
		a[r.begin] = 1
	}
	for i, w := range words {
		binary.LittleEndian.PutUint64(a[0x2000+word*i:], w)
	}
	l.seal(a)
	return a
}

func TestSettle(t *testing.T) {
	base := []uint64{1, 0x7f0012345710, 3}
	for _, tt := range []struct {
		name string
		a, b []byte
		want bool
	}{
		{"equal", build(base...), build(base...), true},
		{"a pointer", build(base...), build(1, 0x7f99fe000710, 3), true},
		{"another place in a page", build(base...), build(1, 0x7f99fe000718, 3), false},
		{"no pointer", build(base...), build(1, 0x12345710, 3), false},
		{"a pointer and more", build(base...), build(2, 0x7f99fe000710, 3), false},
		{"another length", build(base...), build(base...)[:0x2ff8], false},
		{"a broken checksum", func() []byte { a := build(base...); a[0x2000]++; return a }(), build(base...), false},
		{"not an archive", make([]byte, 0x3000), make([]byte, 0x3000), false},
		{"nothing", nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := bytes.Clone(tt.a)
			if got := Settle(tt.a, tt.b); got != tt.want {
				t.Fatalf("got %t", got)
			}
			if !tt.want {
				if !bytes.Equal(tt.a, before) {
					t.Error("the archive was changed")
				}
				return
			}
			if !bytes.Equal(tt.a, tt.b) {
				t.Error("the archives still differ")
			}
			if l, ok := parse(tt.a); !ok || len(l.regions) != 2 {
				t.Error("the checksums are wrong")
			}
		})
	}
}

// TestJVM settles two archives of a real JVM, which then judges the result. A
// class that is nowhere makes an exception pass the class loaders.
func TestJVM(t *testing.T) {
	if testing.Short() {
		t.Skip("dumps class archives")
	}
	java, err := exec.LookPath("java")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("java is missing: install the package openjdk-17-jdk-headless")
		}
		t.Skip("java is missing: install the package openjdk-17-jdk-headless")
	}
	dir := t.TempDir()
	list := filepath.Join(dir, "classes")
	if err := os.WriteFile(list, []byte("java/lang/Object\nnowhere/Absent\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		cmd := exec.Command(java, append(args, "-version")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	dump := func() []byte {
		path := filepath.Join(dir, "dump.jsa")
		os.Remove(path)
		run("-Xshare:dump", "-XX:+UseSerialGC", "-Xmx64m", "-XX:SharedClassListFile="+list, "-XX:SharedArchiveFile="+path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	dumps := [][]byte{dump()}
	for len(dumps) < 12 {
		next := dump()
		for _, d := range dumps {
			if bytes.Equal(d, next) {
				t.Skip("this Java leaves no pointers")
			}
			if !Settle(d, next) {
				continue
			}
			path := filepath.Join(dir, "settled.jsa")
			if err := os.WriteFile(path, d, 0o444); err != nil {
				t.Fatal(err)
			}
			run("-Xshare:on", "-XX:+VerifySharedSpaces", "-XX:+UseSerialGC", "-XX:SharedArchiveFile="+path)
			return
		}
		dumps = append(dumps, next)
	}
	t.Errorf("no two of %d archives settle", len(dumps))
}

func FuzzSettle(f *testing.F) {
	f.Add(build(1, 0x7f0012345710), build(1, 0x7f99fe000710))
	f.Add([]byte(strings.Repeat("\xa2\xba\x0b\xf0", 40)), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if Settle(a, b) && !bytes.Equal(a, b) {
			t.Error("settled archives differ")
		}
	})
}
