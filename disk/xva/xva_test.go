package xva_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/xva"
)

const description = "<value>of a machine</value>\n"

// single is an archive of one disk, whose end is that of the archive.
type single struct {
	disk.Sink
	archive *xva.Writer
}

func (s single) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	return s.archive.Close()
}

func create(w io.Writer, size int64, sum xva.Checksum) (disk.Sink, error) {
	a, err := xva.NewWriter(w, xva.Options{Description: []byte(description), Checksum: sum})
	if err != nil {
		return nil, err
	}
	d, err := a.Disk("Ref:4", size)
	return single{d, a}, err
}

// open returns the one disk of an archive, as large as its chunks say.
func open(f *os.File, n int64) (disk.Reader, error) {
	d, err := disk.NewFile(f)
	if err != nil {
		return nil, err
	}
	a, err := xva.Open(d, n)
	if err != nil {
		return nil, err
	}
	if string(a.Description) != description {
		return nil, fmt.Errorf("the description is %q", a.Description)
	}
	only, ok := a.Find("Ref:4")
	if !ok {
		return disk.NewMemory(0), nil // a disk of no bytes has no chunks
	}
	return a.Reader(only, 0)
}

func TestFormat(t *testing.T) {
	for _, sum := range []xva.Checksum{xva.SHA1, xva.XXH64} {
		t.Run(string(sum), func(t *testing.T) {
			disktest.TestFormat(t, disktest.Format{
				Create:  func(f *os.File, size int64) (disk.Sink, error) { return create(f, size, sum) },
				Open:    open,
				Check:   func(t *testing.T, path string, want disk.Reader) { judge(t, path, want, sum) },
				MaxSize: xva.MaxSize,
			})
		})
	}
}

// assemble puts the chunks of a folder together by their numbers, asks for the
// first and the last, and lets a program compare all checksums.
const assemble = `set -eu
cd "$1"
size=$2
last=$(printf %08d $(((size - 1) / 1048576)))
test -f 00000000 && test -f "$last"
truncate -s "$size" ../disk
for chunk in *; do
	case $chunk in *.*) continue ;; esac
	dd if="$chunk" of=../disk bs=1M seek="$(echo "$chunk" | sed 's/^0*//;s/^$/0/')" conv=notrunc status=none
done
for sum in *."$3"; do
	echo "$(tr A-F a-f <"$sum")  ${sum%.*}"
done | "$4" -c - >/dev/null
`

// judge lets GNU tar unpack an archive, dd put the disk together, and sha1sum or
// xxhsum compare the checksums.
func judge(t *testing.T, path string, want disk.Reader, sum xva.Checksum) {
	if want.Size() == 0 {
		return
	}
	dir := t.TempDir()
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-xf", path, "-C", dir)
	program := disktest.Program(t, "sha1sum", "coreutils")
	if sum == xva.XXH64 {
		program = disktest.Program(t, "xxhsum", "xxhash")
	}
	disktest.Run(t, disktest.Program(t, "sh", "dash"), "-c", assemble, "sh", filepath.Join(dir, "Ref:4"), fmt.Sprint(want.Size()), string(sum), program)
	d, err := disk.OpenFile(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := disktest.Diff(d, want); err != nil || d.Size() != want.Size() {
		t.Errorf("%d bytes, %v", d.Size(), err)
	}
}

// member is one of an archive made by hand.
type member struct{ name, content string }

func archive(t testing.TB, list ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range list {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestForeign reads what hosts write and our writer does not: two disks, chunks
// that kept a connection alive, a folder for it, and a list of checksums at the
// end.
func TestForeign(t *testing.T) {
	p := archive(t, member{"ova.xml", description},
		member{"Ref:1/00000000", "abcd"}, member{"Ref:1/00000000.checksum", "81fe8bfe87576c3ecb22426f8e57847382917acf"},
		member{"Ref:1/00000001", ""}, member{"Ref:1/00000001.checksum", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		member{"Ref:1/00000004", "xyz"}, member{"Ref:1/00000004.checksum", "66b27417d37e024c46526c2f6d358a754fc552f3"},
		member{"Ref:9/00000000", "q"}, member{"Ref:9/00000000.xxhash", "0123456789ABCDEF"},
		member{"checksum.xml", "<value/>"},
	)
	if !xva.Is(p) || xva.Is(p[:100]) || xva.Is(p[512:]) {
		t.Error("it is not told from other files")
	}
	a, err := xva.Open(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Disks) != 2 || a.Disks[0].Checksum != xva.SHA1 || a.Disks[1].Checksum != xva.XXH64 {
		t.Fatalf("%+v", a.Disks)
	}
	// Two chunks of four bytes were left out, and number 1 stands for nothing.
	r, err := a.Reader(a.Disks[0], 20)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 20)
	if _, err := r.ReadAt(got, 0); err != nil || string(got) != "abcd\x00\x00\x00\x00\x00\x00\x00\x00xyz\x00\x00\x00\x00\x00" {
		t.Errorf("%q, %v", got, err)
	}
	var problems []string
	wrong := func(name, problem string) { problems = append(problems, name+": "+problem) }
	for _, d := range a.Disks {
		if err := a.Verify(t.Context(), d, wrong); err != nil {
			t.Fatal(err)
		}
	}
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "Ref:9, 1 bytes at 0: its checksum is ") {
		t.Errorf("%q", problems)
	}
	if _, err := a.Reader(a.Disks[0], 14); err == nil {
		t.Error("a disk that is shorter than its chunks passed")
	}
	if _, ok := a.Find("Ref:2"); ok {
		t.Error("a disk is found that is not there")
	}
}

func TestRefused(t *testing.T) {
	first := member{"ova.xml", description}
	for word, list := range map[string][]member{
		"is empty":             {},
		"not the first member": {{"Ref:1/00000000", "x"}, first},
		"out of range":         {{"ova.xml", ""}},
		"first chunk":          {first, {"Ref:1/00000001", "x"}},
		"behind chunk 1":       {first, {"Ref:1/00000000", "x"}, {"Ref:1/00000001", "x"}, {"Ref:1/00000001", "y"}},
		"not together":         {first, {"Ref:1/00000000", "x"}, {"Ref:2/00000000", "x"}, {"Ref:1/00000001", "x"}},
		"not follow its chunk": {first, {"Ref:1/00000000", "x"}, {"Ref:1/00000001.checksum", "x"}},
		"not like the other":   {first, {"Ref:1/00000000", "x"}, {"Ref:1/00000000.checksum", strings.Repeat("x", 65)}},
		"beyond any disk":      {first, {"Ref:1/00000000", "x"}, {"Ref:1/4294967296", "x"}},
		"lies beyond":          {first, {"Ref:1/00000000", strings.Repeat("x", 1<<20)}, {"Ref:1/200000000", "x"}},
	} {
		p := archive(t, list...)
		if _, err := xva.Open(bytes.NewReader(p), int64(len(p))); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := xva.NewWriter(io.Discard, xva.Options{Checksum: "md5"}); err == nil {
		t.Error("a checksum that nobody knows passed")
	}
}

// FuzzOpen reads archives, and all of their disks as far as that is quick.
func FuzzOpen(f *testing.F) {
	f.Add(archive(f, member{"ova.xml", description}, member{"Ref:1/00000000", "abcd"}, member{"Ref:1/00000000.checksum", "81fe"},
		member{"Ref:1/00000004", "xyz"}, member{"Ref:1/00000004.checksum", "66b2"}, member{"Ref:9/00000000", "q"}))
	var b bytes.Buffer
	sink, err := create(&b, 5000, xva.XXH64)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := sink.WriteAt([]byte("some text"), 4500); err != nil {
		f.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := xva.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		for _, d := range a.Disks {
			if r, err := a.Reader(d, 0); err == nil {
				disktest.Walk(t, r)
			}
			// Damage may make it fail; it must not do worse.
			_ = a.Verify(t.Context(), d, func(string, string) {})
		}
	})
}
