package packaged

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// testModule is an ELF object with a section .modinfo and nothing else.
func testModule(entries ...string) []byte {
	le := binary.LittleEndian
	text := []byte(strings.Join(entries, "\x00") + "\x00")
	names := "\x00.modinfo\x00.shstrtab\x00"
	file := make([]byte, 64)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 1)    // ET_REL
	le.PutUint16(file[18:], 0x3e) // EM_X86_64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[40:], uint64(64+len(text)+len(names))) // e_shoff
	le.PutUint16(file[52:], 64)
	le.PutUint16(file[58:], 64) // e_shentsize
	le.PutUint16(file[60:], 3)  // e_shnum
	le.PutUint16(file[62:], 2)  // e_shstrndx
	file = append(append(file, text...), names...)
	file = append(file, make([]byte, 64)...)
	section := func(name, kind uint32, off, size int) {
		s := make([]byte, 64)
		le.PutUint32(s, name)
		le.PutUint32(s[4:], kind)
		le.PutUint64(s[24:], uint64(off))
		le.PutUint64(s[32:], uint64(size))
		file = append(file, s...)
	}
	section(1, 1, 64, len(text))
	section(10, 3, 64+len(text), len(names))
	return file
}

// testTree is an unpacked package with the given modules.
func testTree(t *testing.T, builtin string, modules map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	write := func(name string, content []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("boot/vmlinuz-6.1.0-1-test", []byte("kernel"))
	write("lib/modules/6.1.0-1-test/modules.builtin", []byte(builtin))
	for name, content := range modules {
		write("lib/modules/6.1.0-1-test/kernel/"+name, content)
	}
	return root
}

func find(t *testing.T, root string) Package {
	t.Helper()
	p, err := Find(root)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func loadOrder(c Closure) []string {
	var names []string
	for _, m := range c.Load {
		names = append(names, m.Name)
	}
	return names
}

func zstdPack(t *testing.T, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

func TestResolve(t *testing.T) {
	p := find(t, testTree(t, "kernel/drivers/nvme/host/nvme-core.ko\nkernel/fs/sysfs.ko\n", map[string][]byte{
		"fs/disk.ko.zst":      zstdPack(t, testModule("depends=journal,nvme-core", "softdep=pre: sum post: later", "alias=fs-disk")),
		"fs/journal.ko":       testModule("depends="),
		"lib/sum-generic.ko":  testModule("alias=sum", "depends="),
		"lib/sum-fast.ko":     testModule("alias=sum", "depends=journal"),
		"lib/later.ko":        testModule(),
		"drivers/net-card.ko": testModule("alias=pci:v00001AF4d*sv*", "depends="),
	}))
	c, err := Resolve(context.Background(), p, []string{"fs-disk", "nvme_core", "sysfs", "absent", "pci:v00001AF4d00001000sv1"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"journal", "sum_fast", "sum_generic", "disk", "net_card"}, loadOrder(c)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"nvme_core", "sysfs"}, c.Builtin); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"absent"}, c.Missing); d != "" {
		t.Error(d)
	}
}

func TestResolveRefuses(t *testing.T) {
	for name, modules := range map[string]map[string][]byte{
		"circle":    {"a.ko": testModule("depends=b"), "b.ko": testModule("depends=a")},
		"lacking":   {"a.ko": testModule("depends=gone")},
		"no module": {"a.ko": []byte("text")},
		"cut":       {"a.ko": testModule("depends=b")[:100]},
	} {
		p := find(t, testTree(t, "", modules))
		if c, err := Resolve(context.Background(), p, []string{"a"}); fault.KindOf(err) != fault.Input {
			t.Errorf("%s: got %+v, %v; want an input fault", name, c, err)
		}
	}
	// Soft dependencies may run in a circle.
	p := find(t, testTree(t, "", map[string][]byte{"a.ko": testModule("softdep=pre: b"), "b.ko": testModule("softdep=pre: a")}))
	c, err := Resolve(context.Background(), p, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"b", "a"}, loadOrder(c)); d != "" {
		t.Error(d)
	}
}

func TestFindRefuses(t *testing.T) {
	two := testTree(t, "", nil)
	if err := os.WriteFile(filepath.Join(two, "boot", "vmlinuz-2"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	bare := testTree(t, "", nil)
	if err := os.RemoveAll(filepath.Join(bare, "lib")); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{"empty": t.TempDir(), "two kernels": two, "no modules": bare} {
		if p, err := Find(root); fault.KindOf(err) != fault.Input {
			t.Errorf("%s: got %+v, %v; want an input fault", name, p, err)
		}
	}
}

func TestInitramfs(t *testing.T) {
	module := testModule("depends=")
	p := find(t, testTree(t, "", map[string][]byte{"fs/disk.ko.zst": zstdPack(t, module)}))
	c, err := Resolve(context.Background(), p, []string{"disk"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Package: p, Modules: c.Load, Init: []byte("#!init")}
	var plain, again, packed bytes.Buffer
	for w, o := range map[*bytes.Buffer]Options{&plain: o, &again: o, &packed: {Package: p, Modules: c.Load, Init: o.Init, Compression: kernel.Zstd}} {
		if err := Initramfs(context.Background(), w, o); err != nil {
			t.Fatal(err)
		}
	}
	unpacker, err := zstd.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	defer unpacker.Close()
	unpacked, err := io.ReadAll(unpacker)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(plain.Bytes(), again.Bytes()) || !bytes.Equal(plain.Bytes(), unpacked) {
		t.Fatal("the same options gave different bytes")
	}

	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(plain.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	var names []string
	for _, r := range records {
		names = append(names, r.Name)
		if r.ReaderAt != nil {
			content := make([]byte, r.FileSize)
			if _, err := r.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			contents[r.Name] = string(content)
		}
		if r.Name == "dev/console" && (r.Mode != cpio.S_IFCHR|0o600 || r.Rmajor != 5 || r.Rminor != 1) {
			t.Errorf("dev/console is %v", r)
		}
	}
	const place = "lib/modules/6.1.0-1-test/kernel/fs/disk.ko"
	if d := cmp.Diff([]string{"dev", "proc", "sys", "dev/console", "init", "initramfs.json", "lib", "lib/modules",
		"lib/modules/6.1.0-1-test", "lib/modules/6.1.0-1-test/kernel", "lib/modules/6.1.0-1-test/kernel/fs", place}, names); d != "" {
		t.Error(d)
	}
	if contents[place] != string(module) {
		t.Error("the module was not unpacked")
	}
	var list config.Initramfs
	if err := json.Unmarshal([]byte(contents["initramfs.json"]), &list); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(config.Initramfs{Modules: []string{"/" + place}}, list); d != "" {
		t.Error(d)
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add(testModule("depends=a,b", "softdep=pre: c post: d", "alias=fs-x"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, module []byte) {
		i, err := parseInfo(bytes.NewReader(module))
		if err == nil && slices.Contains(i.depends, "") {
			t.Error("a dependency without a name")
		}
	})
}
