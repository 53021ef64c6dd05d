package ntfs_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// TestValidDataLength scrubs the part of a file that was never written: it
// reads as zero, whatever its clusters hold.
func TestValidDataLength(t *testing.T) {
	path := small(t)
	const valid = 10_000
	edit(t, path, func(e *ntfs.Editor) {
		num := e.Find("/file")
		e.Content(num, valid, text("SECRET", 20_000))
		e.Attribute(num, ntfs.AttrData, "", ntfs.OffInitialized, binary.LittleEndian.AppendUint64(nil, valid))
	})
	want := fstest.Program(t, "ntfscat", "-f", path, "/file")
	if !bytes.HasSuffix([]byte(want), make([]byte, 20_000)) {
		t.Fatal("ntfscat shows what was never written")
	}
	fstest.Scrub(t, ntfs.Driver{}, path)
	check(t, path)
	if n := len(places(t, path, "SECRET")); n > 0 {
		t.Errorf("%d traces behind the valid data", n)
	}
	if got := fstest.Program(t, "ntfscat", "-f", path, "/file"); got != want {
		t.Error("the file is another")
	}
}

// TestEncrypted leaves the clusters of an encrypted file alone: its last
// sector is padded with what the key holder needs.
func TestEncrypted(t *testing.T) {
	path := small(t)
	edit(t, path, func(e *ntfs.Editor) {
		num := e.Find("/file")
		e.Content(num, 30_000, []byte("CIPHERTEXT"))
		e.Attribute(num, ntfs.AttrData, "", ntfs.OffAttrFlags, []byte{0, 0x40})
		e.Content(e.Find("/secret"), 30_000, []byte("PLAINTEXT"))
	})
	fstest.Scrub(t, ntfs.Driver{}, path)
	if len(places(t, path, "CIPHERTEXT")) != 1 {
		t.Error("the end of an encrypted file is gone")
	}
	if len(places(t, path, "PLAINTEXT")) != 0 {
		t.Error("the tail of a file is there")
	}
}

// TestSavedBytes scrubs the two bytes of a dead place that the update sequence
// array keeps.
func TestSavedBytes(t *testing.T) {
	path := small(t)
	const savedOfSecondStride = 0x34
	edit(t, path, func(e *ntfs.Editor) {
		e.Record(e.Find("/file"), savedOfSecondStride, []byte("ZQ"))
		e.Record(20, savedOfSecondStride, []byte("QZ"))
	})
	if len(places(t, path, "FILE0")) == 0 {
		t.Fatal("the volume has no records")
	}
	fstest.Scrub(t, ntfs.Driver{}, path)
	check(t, path)
	edit(t, path, func(e *ntfs.Editor) {
		for _, num := range []int64{e.Find("/file"), 20} {
			if b := e.Stored(num)[savedOfSecondStride:][:2]; !bytes.Equal(b, []byte{0, 0}) {
				t.Errorf("record %d keeps %q", num, b)
			}
		}
	})
}

// TestDecompress follows the example of MS-XCA section 3.3.
func TestDecompress(t *testing.T) {
	plain := "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\x00"
	packed := []byte{
		0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47, 0x01,
		0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20, 0x05, 0x24,
		0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09, 0x16, 0x01, 0x48,
		0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
	}
	got := make([]byte, len(plain))
	if err := ntfs.Decompress(got, packed); err != nil {
		t.Fatal(err)
	}
	if string(got) != plain {
		t.Errorf("got %q", got)
	}
}
