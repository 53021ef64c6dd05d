package part_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
)

const mib = 1 << 20

// table is a GPT as imgbuild makes it, with a partition number left out.
func table() *part.Table {
	seed := []byte("seed")
	return &part.Table{
		Scheme: part.GPT, DiskGUID: part.GUIDFrom(seed, "disk"), Signature: 0x12345678,
		Entries: []part.Entry{
			{Index: 1, Name: "esp", Type: part.TypeESP, GUID: part.GUIDFrom(seed, "esp"),
				Attributes: part.LegacyBoot, Extent: disk.Extent{Off: mib, Len: 8 * mib}},
			{Index: 2, Name: "root", Type: part.TypeRootX8664, GUID: part.GUIDFrom(seed, "root"),
				Extent: disk.Extent{Off: 9 * mib, Len: 20 * mib}},
			{Index: 5, Name: "Datenträger 😀", Type: part.TypeLinux, GUID: part.GUIDFrom(seed, "data"),
				Extent: disk.Extent{Off: 30 * mib, Len: 34*mib - 33*512}},
		},
	}
}

// mbr is an MBR with two partitions.
func mbr() *part.Table {
	return &part.Table{
		Scheme: part.MBR, Signature: 0xdeadbeef, BootCode: bytes.Repeat([]byte{0x90}, 440),
		Entries: []part.Entry{
			{Index: 1, MBRType: part.MBRFAT32, Attributes: part.LegacyBoot, Extent: disk.Extent{Off: mib, Len: 8 * mib}},
			{Index: 3, MBRType: part.MBRLinux, Extent: disk.Extent{Off: 9 * mib, Len: 55 * mib}},
		},
	}
}

var ignore = cmp.Options{
	cmpopts.IgnoreUnexported(part.Table{}),
	cmpopts.IgnoreFields(part.Table{}, "BootCode", "SectorSize"),
}

func write(t testing.TB, tab *part.Table, w disk.Writer) {
	t.Helper()
	if err := tab.Write(w); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	big := table()
	big.SectorSize = 4096
	big.Entries = big.Entries[:2]
	for name, tab := range map[string]*part.Table{"gpt": table(), "gpt 4096": big, "mbr": mbr()} {
		t.Run(name, func(t *testing.T) {
			m := disk.NewMemory(64 * mib)
			write(t, tab, m)
			got, err := part.Parse(m)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tab, got, ignore); diff != "" {
				t.Error(diff)
			}
			checkParts(t, m, got)
		})
	}
}

// checkParts looks whether the parts account for every byte of the table.
func checkParts(t *testing.T, r disk.Reader, tab *part.Table) {
	t.Helper()
	covered := disk.NewMemory(r.Size())
	var last int64
	for _, p := range tab.Parts() {
		if p.Off < last || p.Len <= 0 || p.Kind == "" {
			t.Errorf("part %+v after %d", p, last)
		}
		last = p.End()
		buf := make([]byte, p.Len)
		if _, err := r.ReadAt(buf, p.Off); err != nil {
			t.Fatal(err)
		}
		if !p.Used && !disk.IsZero(buf) {
			t.Errorf("%s holds data in a fresh table", p.Kind)
		}
		if _, err := covered.WriteAt(buf, p.Off); err != nil {
			t.Fatal(err)
		}
	}
	for e, err := range disk.DataExtents(r) {
		if err != nil {
			t.Fatal(err)
		}
		a, b := make([]byte, e.Len), make([]byte, e.Len)
		r.ReadAt(a, e.Off)
		covered.ReadAt(b, e.Off)
		if !bytes.Equal(a, b) {
			t.Errorf("the table has bytes in %v that no part covers", e)
		}
	}
}

func TestKeepsBootCode(t *testing.T) {
	m := disk.NewMemory(64 * mib)
	code := bytes.Repeat([]byte{0xfa, 0x31}, 220)
	if _, err := m.WriteAt(code, 0); err != nil {
		t.Fatal(err)
	}
	write(t, table(), m)
	got, err := part.Parse(m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.BootCode, code) {
		t.Error("the boot code changed")
	}
}

func TestRefusals(t *testing.T) {
	for name, change := range map[string]func(*part.Table){
		"overlap":        func(t *part.Table) { t.Entries[1].Off = 8 * mib },
		"over the head":  func(t *part.Table) { t.Entries[0].Off = 33 * 512 },
		"over the tail":  func(t *part.Table) { t.Entries[2].Len += 512 },
		"half a sector":  func(t *part.Table) { t.Entries[0].Len -= 100 },
		"no type":        func(t *part.Table) { t.Entries[0].Type = part.GUID{} },
		"long name":      func(t *part.Table) { t.Entries[0].Name = strings.Repeat("x", 37) },
		"number twice":   func(t *part.Table) { t.Entries[0].Index = 2 },
		"number 129":     func(t *part.Table) { t.Entries[0].Index = 129 },
		"scheme":         func(t *part.Table) { t.Scheme = "apm" },
		"sector size":    func(t *part.Table) { t.SectorSize = 1024 },
		"huge boot code": func(t *part.Table) { t.BootCode = make([]byte, 441) },
	} {
		tab, m := table(), disk.NewMemory(64*mib)
		change(tab)
		if err := tab.Write(m); err == nil {
			t.Errorf("%s: written", name)
		}
		if e, err := m.NextData(0); err == nil {
			t.Errorf("%s: %v was written", name, e)
		}
	}
}

func TestNoTable(t *testing.T) {
	fat := disk.NewMemory(4 * mib)
	sector := make([]byte, 512)
	copy(sector, "\xeb\x3c\x90mkfs.fat")
	sector[510], sector[511] = 0x55, 0xaa
	if _, err := fat.WriteAt(sector, 0); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]disk.Reader{
		"nothing": disk.NewMemory(0), "tiny": disk.NewMemory(511), "zeros": disk.NewMemory(mib), "fat": fat,
	} {
		if _, err := part.Parse(r); !errors.Is(err, part.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedCopies(t *testing.T) {
	damage := func(offs ...int64) *disk.Memory {
		m := disk.NewMemory(64 * mib)
		write(t, table(), m)
		for _, off := range offs {
			if _, err := m.WriteAt([]byte{0xEE}, off); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	const primary, primaryArray, backup = 512 + 60, 1024 + 40, 64*mib - 512 + 60
	for name, m := range map[string]*disk.Memory{
		"primary header": damage(primary), "primary entries": damage(primaryArray), "backup header": damage(backup),
	} {
		got, err := part.Parse(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "damaged") {
			t.Errorf("%s: notes %q", name, got.Notes)
		}
		if diff := cmp.Diff(table().Entries, got.Entries); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := part.Parse(damage(primary, backup)); err == nil || errors.Is(err, part.ErrNotFound) {
		t.Errorf("both headers: %v", err)
	}
}

// TestReseal plants what a longer name leaves behind a shorter one, zeroes the
// unused parts, and has the result judged.
func TestReseal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	f, err := disk.CreateFile(path, 64*mib)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tab := table()
	tab.Entries[0].Name = "a long and secret name"
	write(t, tab, f)
	fresh, err := part.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	const name = 1024 + 56 // of entry 1 in the primary array
	for _, off := range []int64{name, 64*mib - 33*512 - 1024 + name} {
		if _, err := f.WriteAt([]byte("e\x00s\x00p\x00\x00\x00"), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := fresh.Reseal(f); err != nil {
		t.Fatal(err)
	}
	got, err := part.Parse(f)
	if err != nil || len(got.Notes) != 0 {
		t.Fatalf("after the change: %v, %+v", err, got)
	}
	zeroed := 0
	for _, p := range got.Parts() {
		if p.Used {
			continue
		}
		buf := make([]byte, p.Len)
		if _, err := f.ReadAt(buf, p.Off); err != nil {
			t.Fatal(err)
		}
		if !disk.IsZero(buf) {
			zeroed++
		}
		if err := f.Punch(p.Off, p.Len); err != nil {
			t.Fatal(err)
		}
	}
	if zeroed != 2 {
		t.Errorf("%d unused parts held data, want the slack of the entry in both copies", zeroed)
	}
	if err := got.Reseal(f); err != nil {
		t.Fatal(err)
	}
	after, err := part.Parse(f)
	if err != nil || len(after.Notes) != 0 {
		t.Fatalf("after Reseal: %v, %+v", err, after)
	}
	if diff := cmp.Diff(table().Entries, after.Entries); diff != "" {
		t.Error(diff)
	}
	sgdiskVerify(t, path)
}

// program finds a judge.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is needed: install %s", name, pkg)
		}
		t.Skipf("%s is not installed: it is in the Debian package %s", name, pkg)
	}
	return path
}

func sgdiskVerify(t *testing.T, path string) {
	t.Helper()
	out, err := exec.Command(program(t, "sgdisk", "gdisk"), "-v", path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("No problems found")) {
		t.Errorf("sgdisk -v: %v\n%s", err, out)
	}
}

func TestJudges(t *testing.T) {
	sgdisk, sfdisk := program(t, "sgdisk", "gdisk"), program(t, "sfdisk", "fdisk")
	dir := t.TempDir()
	for name, tab := range map[string]*part.Table{"gpt": table(), "mbr": mbr()} {
		path := filepath.Join(dir, name)
		f, err := disk.CreateFile(path, 64*mib)
		if err != nil {
			t.Fatal(err)
		}
		write(t, tab, f)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(sfdisk, "--verify", path).CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("No errors detected")) && name == "gpt" {
			t.Errorf("%s: sfdisk --verify: %v\n%s", name, err, out)
		}
		dump, err := exec.Command(sfdisk, "--dump", path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: sfdisk --dump: %v\n%s", name, err, dump)
		}
		for _, want := range wantDump[name] {
			if !strings.Contains(string(dump), want) {
				t.Errorf("%s: sfdisk --dump lacks %q:\n%s", name, want, dump)
			}
		}
	}
	sgdiskVerify(t, filepath.Join(dir, "gpt"))
	info, err := exec.Command(sgdisk, "-i", "1", filepath.Join(dir, "gpt")).CombinedOutput()
	if err != nil || !bytes.Contains(info, []byte("Attribute flags: 0000000000000004")) {
		t.Errorf("sgdisk -i 1: %v\n%s", err, info)
	}
}

var wantDump = map[string][]string{
	"gpt": {
		"label: gpt", "first-lba: 34", "last-lba: 131038", "attrs=\"LegacyBIOSBootable\"",
		"start=        2048, size=       16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
		"start=       18432, size=       40960, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
		`name="Datentr\xc3\xa4ger \xf0\x9f\x98\x80"`, strings.ToUpper(part.GUIDFrom([]byte("seed"), "disk").String()),
	},
	"mbr": {
		"label: dos", "label-id: 0xdeadbeef", "start=        2048, size=       16384, type=c, bootable",
		"start=       18432, size=      112640, type=83",
	},
}

// TestReadsForeignTables parses what sgdisk and sfdisk made.
func TestReadsForeignTables(t *testing.T) {
	sgdisk, sfdisk := program(t, "sgdisk", "gdisk"), program(t, "sfdisk", "fdisk")
	create := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		f, err := disk.CreateFile(path, 64*mib)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		return path
	}
	parse := func(path string) *part.Table {
		f, err := disk.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tab, err := part.Parse(f)
		if err != nil {
			t.Fatal(err)
		}
		checkParts(t, f, tab)
		return tab
	}
	gpt := create("gpt")
	if out, err := exec.Command(sgdisk, "-n1:2048:+8M", "-t1:ef00", "-c1:boot", "-n7:0:0", gpt).CombinedOutput(); err != nil {
		t.Fatalf("sgdisk: %v\n%s", err, out)
	}
	tab := parse(gpt)
	if len(tab.Notes) != 0 || len(tab.Entries) != 2 || tab.Entries[0].Name != "boot" || tab.Entries[0].Type != part.TypeESP ||
		tab.Entries[1].Index != 7 || tab.Entries[0].Extent != (disk.Extent{Off: mib, Len: 8 * mib}) {
		t.Errorf("sgdisk's table: %+v", tab)
	}

	dos := create("dos")
	cmd := exec.Command(sfdisk, dos)
	cmd.Stdin = strings.NewReader("label: dos\n,8M,c,*\n,,E\n,8M\n,9M\n,10M\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	var lens []int64
	for _, e := range parse(dos).Entries {
		lens = append(lens, int64(e.Index), e.Len/mib)
	}
	if diff := cmp.Diff([]int64{1, 8, 5, 8, 6, 9, 7, 10}, lens); diff != "" {
		t.Errorf("sfdisk's table: %s", diff)
	}
}

func TestGUID(t *testing.T) {
	const text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	if got := part.TypeESP.String(); got != text {
		t.Errorf("got %s", got)
	}
	a, b := part.GUIDFrom([]byte("x"), "disk"), part.GUIDFrom([]byte("x"), "esp")
	if a == b || a != part.GUIDFrom([]byte("x"), "disk") {
		t.Errorf("%v and %v", a, b)
	}
	if s := a.String(); s[14] != '8' || !strings.ContainsRune("89ab", rune(s[19])) {
		t.Errorf("%s is not of version 8", s)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.Replace(text, "-", "0", 1), "g" + text[1:]} {
		if g, err := part.ParseGUID(bad); err == nil {
			t.Errorf("%q parsed to %v", bad, g)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tab := range []*part.Table{table(), mbr()} {
		m := disk.NewMemory(64 * mib)
		write(f, tab, m)
		head, tail := make([]byte, 34*512), make([]byte, 33*512)
		m.ReadAt(head, 0)
		m.ReadAt(tail, m.Size()-int64(len(tail)))
		f.Add(head, tail)
	}
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		m := disk.NewMemory(64 * mib)
		m.WriteAt(head[:min(len(head), mib)], 0)
		tail = tail[:min(len(tail), mib)]
		m.WriteAt(tail, m.Size()-int64(len(tail)))
		tab, err := part.Parse(m)
		if err != nil {
			return
		}
		last := int64(0)
		for _, p := range tab.Parts() {
			if p.Off < last || p.End() > m.Size() {
				t.Fatalf("part %+v after %d", p, last)
			}
			last = p.End()
		}
		for _, e := range tab.Entries {
			if e.Off < 0 || e.Len <= 0 || e.End() > m.Size() {
				t.Fatalf("entry %+v", e)
			}
		}
		if err := tab.Reseal(m); err != nil {
			t.Fatal(err)
		}
	})
}
