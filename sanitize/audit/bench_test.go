package audit

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// prose are words that make a text without secrets.
var prose = strings.Fields("the of and to in is that it was for on are as with his they at be this from have or by one had not but " +
	"what all were when we there can an your which their said if do will each about how up out them then she many some so these would other " +
	"<p> </p> <a href=\"index.html\"> </a> <div class=\"body\"> </div> return if (error) import private static final int")

// BenchmarkScan scans dead bytes on one core as an audit does, and reads the
// same number of bytes from memory, which no scan can beat.
func BenchmarkScan(b *testing.B) {
	const size = 64 << 20
	rules, err := secret.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	noise, text := make([]byte, 0, size), make([]byte, 0, size+16)
	for len(noise) < size {
		noise = binary.LittleEndian.AppendUint64(noise, random.Uint64())
	}
	for len(text) < size {
		text = append(append(text, prose[random.IntN(len(prose))]...), " \n"[min(random.IntN(12)/11, 1)])
	}
	set := newScanSet(secret.NewSet(rules), true)
	for _, kind := range []struct {
		name string
		data []byte
	}{{"text", text[:size]}, {"noise", noise}, {"zeros", make([]byte, size)}} {
		b.Run(kind.name, func(b *testing.B) {
			m := disk.NewMemory(size)
			if _, err := m.WriteAt(kind.data, 0); err != nil {
				b.Fatal(err)
			}
			w, s := newWorker(), source{m, disk.Extent{Len: size}, ""}
			b.SetBytes(size)
			for b.Loop() {
				for off := int64(0); off < size; off += windowSize {
					if _, _, err := w.scan(set, s, disk.Extent{Off: off, Len: windowSize}, func(Finding) bool { return true }); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	b.Run("memory", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if bytes.Count(noise, []byte{0}) == 0 {
				b.Fatal("noise has no zeros")
			}
		}
	})
}
