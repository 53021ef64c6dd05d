package sanitize

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
)

// placed is a file that is stored in one piece.
type placed struct {
	io.ReaderAt
	at, size int64
}

func (p placed) Span(off int64) (Span, bool) {
	return Span{Extent: disk.Extent{Len: p.size}, At: p.at}, off < p.size
}

// TestContentHash hashes files by their place, with all that may stand behind
// them, and by their content alone: the hashes agree, and only what is zero up
// to the next block is told.
func TestContentHash(t *testing.T) {
	const size = 3*scanBuffer + 777
	volume := disk.NewMemory(size)
	if _, err := volume.WriteAt(bytes.Repeat([]byte("content"), size/7), 0); err != nil {
		t.Fatal(err)
	}
	for _, e := range []disk.Extent{{Off: 5000, Len: 3192}, {Off: 12000, Len: 200}, {Off: 2*scanBuffer + 9, Len: digestBlock - 9}, {Off: size - 100, Len: 100}} {
		if err := volume.Punch(e.Off, e.Len); err != nil {
			t.Fatal(err)
		}
	}
	byPlace := contentHash{volume: volume, buf: make([]byte, scanBuffer)}
	byContent := contentHash{buf: make([]byte, scanBuffer)}
	for _, e := range []disk.Extent{
		{Off: 0, Len: 5000}, {Off: 4096, Len: 904}, // zero up to 8192
		{Off: 0, Len: 4096},                       // ends with its block
		{Off: 8192, Len: 3808},                    // not zero from 12200 on
		{Off: 4196, Len: 2*scanBuffer - 4187},     // zero, and read in pieces
		{Off: size - 5000, Len: 4900},             // zero up to the end of the volume
		{Off: 0, Len: size}, {Off: 4096, Len: 50}, // followed by other content
	} {
		section := disk.Section(volume, e.Off, e.Len)
		var sums [2][]byte
		for i, c := range []Content{placed{section, e.Off, e.Len}, struct{ Content }{section}} {
			h := [...]*contentHash{&byPlace, &byContent}[i]
			var err error
			sums[i], err = h.file(t.Context(), File{Path: "/f", Size: e.Len, Open: func() (Content, error) { return c, nil }})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(sums[0], sums[1]) {
			t.Errorf("the hash of %s differs by its place", e)
		}
	}
	if diff := cmp.Diff([]int64{5000, 5000, 2*scanBuffer + 9, size - 100}, byPlace.zeros); diff != "" {
		t.Errorf("zeros (-want +got):\n%s", diff)
	}
	outside := placed{disk.NewMemory(10), size - 5, 10}
	if _, err := byPlace.file(t.Context(), File{Size: 10, Open: func() (Content, error) { return outside, nil }}); err == nil {
		t.Error("a file outside of its volume is hashed")
	}
}
