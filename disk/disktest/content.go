package disktest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40
)

// Sample is a disk to try a format on.
type Sample struct {
	Name string
	Disk *disk.Memory
}

// Named returns the sample of a name.
func Named(t testing.TB, name string) *disk.Memory {
	t.Helper()
	for _, s := range Samples() {
		if s.Name == name {
			return s.Disk
		}
	}
	t.Fatalf("there is no sample %q", name)
	return nil
}

// Samples are disks that cover what formats stumble over: odd sizes, a last
// grain that is not whole, sizes beyond 32 bits with little data, nothing but
// zeros, and data that does not compress. They are the same at each call.
func Samples() []Sample {
	return []Sample{
		{"empty", disk.NewMemory(0)},
		{"one byte", fill(1, piece{0, 1, noise})},
		{"1 MiB", fill(mib, piece{0, 5000, text}, piece{200 * kib, 300 * kib, text}, piece{mib - 512, 512, noise})},
		{"zeros", disk.NewMemory(3 * mib)},
		{"written zeros", fill(mib, piece{100 * kib, 100 * kib, zeros})},
		{"odd size", fill(mib+4097, piece{mib, 4097, noise}, piece{70 * kib, 1, noise})},
		{"partial grain", fill(5*mib+3*512, piece{5 * mib, 3 * 512, text}, piece{64*kib - 1, 2, noise})},
		{"noise", fill(4*mib, piece{0, 4 * mib, noise})},
		{"mixed", fill(8*mib, piece{0, 2 * mib, noise}, piece{2 * mib, 2 * mib, text}, piece{4*mib + 7, mib, noise},
			piece{6 * mib, 300 * kib, text})},
		{"islands", islands(12 * mib)},
		{"9 GiB", fill(9*gib, piece{0, 64 * kib, text}, piece{4*gib - 100, 200, noise}, piece{9*gib - 4096, 4096, text})},
		{"2 TiB", fill(2*tib, piece{0, 1000, text}, piece{tib + 12345, 70_000, noise}, piece{2*tib - 1, 1, noise})},
	}
}

// piece is n bytes of a kind of data at off.
type piece struct {
	off, n int64
	make   func(n int64, seed uint64) []byte
}

func fill(size int64, pieces ...piece) *disk.Memory {
	m := disk.NewMemory(size)
	for i, p := range pieces {
		if _, err := m.WriteAt(p.make(p.n, uint64(i)+1), p.off); err != nil {
			panic(err) // a sample that does not fit its own size
		}
	}
	return m
}

// islands has a short run in every other block.
func islands(size int64) *disk.Memory {
	var pieces []piece
	for off := int64(0); off < size; off += 11 * disk.BlockSize {
		pieces = append(pieces, piece{off + off%4000, 700, text})
	}
	return fill(size, pieces...)
}

func zeros(n int64, _ uint64) []byte { return make([]byte, n) }

// noise does not compress.
func noise(n int64, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 2))
	p := make([]byte, (n+7)&^7)
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], rnd.Uint64()|1)
	}
	return p[:n]
}

// text compresses well.
func text(n int64, seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 3))
	words := []string{"public ", "static ", "final ", "class ", "return ", "java/lang/Object ", "\n"}
	var b bytes.Buffer
	for int64(b.Len()) < n {
		b.WriteString(words[rnd.IntN(len(words))])
	}
	return b.Bytes()[:n]
}
