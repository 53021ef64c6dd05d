package erofs

import (
	"bytes"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// lz4Samples are texts whose matches do not overlap, overlap by a byte, by
// three, and by more than half of what they fill.
func lz4Samples() [][]byte {
	words := bytes.Repeat([]byte("what the ledger calls dead, the scrub zeroes; "), 400)
	return [][]byte{
		words,
		bytes.Repeat([]byte{7}, 10000),
		bytes.Repeat([]byte{1, 2, 3}, 5000),
		append(bytes.Clone(words[:1000]), words[:1900]...),
	}
}

// TestUnpackLZ4 unpacks whole blocks and beginnings of them, as pieces that
// share a block are.
func TestUnpackLZ4(t *testing.T) {
	for _, want := range lz4Samples() {
		packed := make([]byte, lz4.CompressBlockBound(len(want)))
		var c lz4.Compressor
		n, err := c.CompressBlock(want, packed)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		for _, size := range []int{0, 1, len(want) / 3, len(want) - 1, len(want)} {
			got := make([]byte, size)
			if err := unpackLZ4(got, packed[:n]); err != nil || !bytes.Equal(got, want[:size]) {
				t.Errorf("%d of %d bytes: %v", size, len(want), err)
			}
		}
		if err := unpackLZ4(make([]byte, len(want)+1), packed[:n]); err == nil {
			t.Error("more was unpacked than was packed")
		}
	}
}

func BenchmarkUnpackLZ4(b *testing.B) {
	want := lz4Samples()[0]
	packed := make([]byte, lz4.CompressBlockBound(len(want)))
	var c lz4.Compressor
	n, err := c.CompressBlock(want, packed)
	if err != nil {
		b.Fatal(err)
	}
	got := make([]byte, len(want))
	b.SetBytes(int64(len(want)))
	for b.Loop() {
		if err := unpackLZ4(got, packed[:n]); err != nil {
			b.Fatal(err)
		}
	}
}
