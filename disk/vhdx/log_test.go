package vhdx_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/vhdx"
)

// logHome is where the log of the files that encode makes is; it has 1 MiB.
const logHome = 1 << 20

// reseal makes the checksum of a structure right.
func reseal(p []byte) {
	clear(p[4:8])
	binary.LittleEndian.PutUint32(p[4:], crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
}

// change is a descriptor of a log entry: a sector of data, or zeros.
type change struct {
	off  int64
	data []byte // 4096 bytes; nil for zeros
	n    int64  // of zeros
}

// logEntry encodes an entry as [MS-VHDX] section 2.3.1 has it.
func logEntry(id []byte, sequence uint64, tail uint32, fileSize int64, changes ...change) []byte {
	head := make([]byte, (64+32*len(changes)+4095)/4096*4096)
	var data []byte
	for i, c := range changes {
		d := head[64+32*i:]
		binary.LittleEndian.PutUint64(d[16:], uint64(c.off))
		binary.LittleEndian.PutUint64(d[24:], sequence)
		if c.data == nil {
			copy(d, "zero")
			binary.LittleEndian.PutUint64(d[8:], uint64(c.n))
			continue
		}
		copy(d, "desc")
		copy(d[4:], c.data[4092:])
		copy(d[8:], c.data[:8])
		s := bytes.Clone(c.data)
		copy(s, "data")
		binary.LittleEndian.PutUint32(s[4:], uint32(sequence>>32))
		binary.LittleEndian.PutUint32(s[4092:], uint32(sequence))
		data = append(data, s...)
	}
	p := append(head, data...)
	copy(p, "loge")
	binary.LittleEndian.PutUint32(p[8:], uint32(len(p)))
	binary.LittleEndian.PutUint32(p[12:], tail)
	binary.LittleEndian.PutUint64(p[16:], sequence)
	binary.LittleEndian.PutUint32(p[24:], uint32(len(changes)))
	copy(p[32:], id)
	binary.LittleEndian.PutUint64(p[48:], uint64(fileSize))
	binary.LittleEndian.PutUint64(p[56:], uint64(fileSize))
	reseal(p)
	return p
}

// dirty returns a file whose block table and a part of whose data are in the
// log alone: two entries that count, the second around the end of the ring,
// behind one of an older sequence.
func dirty(t testing.TB) []byte {
	t.Helper()
	p := encode(t, vhdx.Options{})
	id := bytes.Repeat([]byte{7}, 16)
	copy(p[secondHeader+48:], id)
	reseal(p[secondHeader:][:4096])
	page := bytes.Clone(p[table:][:4096])
	clear(p[table:][:4096])
	wrong := bytes.Repeat([]byte{0xee}, 4096)
	size := int64(len(p))
	put := func(at int, entry []byte) {
		for i, b := range entry {
			p[logHome+(at+i)%(1<<20)] = b
		}
	}
	const second = 1<<20 - 8192
	first := second - 3*4096
	put(40<<10, logEntry(id, 3, 40<<10, size, change{off: table, data: wrong}))
	put(first, logEntry(id, 8, uint32(first), size, change{off: table, data: wrong}, change{off: 4<<20 + 16384, data: wrong}))
	put(second, logEntry(id, 9, uint32(first), size, change{off: table, data: page}, change{off: 4<<20 + 64<<10, n: 8192},
		change{off: 4<<20 + 256<<10, data: wrong}))
	return p
}

// TestReplay compares what the log makes of a disk with what QEMU makes of it.
func TestReplay(t *testing.T) {
	p := dirty(t)
	r, err := vhdx.Open(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, r.Size())
	if n, err := r.ReadAt(got, 0); n < len(got) {
		t.Fatal(err)
	}
	if !bytes.Contains(got[:1<<20], []byte("imgbuild")) || bytes.Count(got, bytes.Repeat([]byte{0xee}, 4096)) != 2 {
		t.Error("the log was not replayed")
	}
	path := filepath.Join(t.TempDir(), "vhdx")
	if err := os.WriteFile(path, p, 0o644); err != nil {
		t.Fatal(err)
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	disktest.Run(t, qemu, "check", "-f", "vhdx", "-r", "all", path)
	raw := filepath.Join(t.TempDir(), "raw")
	disktest.Run(t, qemu, "convert", "-f", "vhdx", "-O", "raw", path, raw)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("QEMU reads another disk")
	}
}

// TestBrokenLog refuses a disk whose log cannot be replayed.
func TestBrokenLog(t *testing.T) {
	for name, change := range map[string]func([]byte){
		"no entries": func(p []byte) { clear(p[logHome:][:1<<20]) },
		"size":       func(p []byte) { p[secondHeader+68+2] = 0; reseal(p[secondHeader:][:4096]) },
		"place":      func(p []byte) { p[secondHeader+72+5] = 1; reseal(p[secondHeader:][:4096]) },
	} {
		p := dirty(t)
		change(p)
		if _, err := vhdx.Open(bytes.NewReader(p), int64(len(p))); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// FuzzLog replays logs that begin with any bytes. Checksums are made right.
func FuzzLog(f *testing.F) {
	p := dirty(f)
	f.Add(p[logHome+40<<10:][:4096], p[2<<20-8192-3*4096:][:3*4096+8192])
	f.Fuzz(func(t *testing.T, old, newer []byte) {
		p := bytes.Clone(p)
		copy(p[logHome+40<<10:][:64<<10], old)
		copy(p[2<<20-8192-3*4096:][:3*4096+8192], newer)
		for at := logHome; at < 2<<20; at += 4096 {
			n := int(binary.LittleEndian.Uint32(p[at+8:]))
			if string(p[at:][:4]) == "loge" && n >= 64 && at+n <= 2<<20 {
				reseal(p[at:][:n])
			}
		}
		r, err := vhdx.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}
