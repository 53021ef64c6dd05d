package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse builds trees of damaged descriptors.
func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("../testdata/*.ovf")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("<a></a></a><b>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := parse(text)
		if err == nil && root == nil {
			t.Error("neither a tree nor an error")
		}
		root.below("VirtualSystem")
	})
}

// FuzzStreamEnd walks damaged streams.
func FuzzStreamEnd(f *testing.F) {
	grain := make([]byte, 3*sector)
	grain[8] = 200                         // a grain of one sector
	grain[sector], grain[sector+12] = 1, 1 // a table of one
	f.Add(append(grain, make([]byte, 2*sector)...), uint64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 4*sector), uint64(1))
	f.Fuzz(func(t *testing.T, p []byte, overhead uint64) {
		n := int64(len(p))
		end, err := streamEnd(t.Context(), bytes.NewReader(p), n, overhead)
		if err == nil && (end > n || end < sector) {
			t.Errorf("the end of %d bytes is at %d", n, end)
		}
	})
}
