package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// slowVariable, set to 1, asks for the tests that take minutes each.
const slowVariable = "IMGBUILD_TEST_SLOW"

// xenWait bounds how long a test waits for a guest on an emulated Xen.
const xenWait = 10 * time.Minute

// needXen skips a test where the packages of dom0 cannot be had.
func needXen(t *testing.T) {
	t.Helper()
	guestKernel(t)
	for program, pkg := range map[string]string{"apt-get": "apt", "dpkg-deb": "dpkg"} {
		need(t, program, pkg)
	}
	if out, err := exec.Command("apt-cache", "show", "xen-utils-4.17").Output(); err != nil || len(out) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("the package sources offer no xen-utils-4.17")
		}
		t.Skip("the package sources offer no xen-utils-4.17: it is of Debian 12")
	}
}

// addGRUB puts the menu of GRUB-for-Xen on the disk, and the kernel's form for
// paravirtual guests.
func addGRUB(t *testing.T, path, linux string) {
	t.Helper()
	const cmdline = "console=ttyS0 console=hvc0 quiet ip=dhcp guest=serve"
	at, dir := path+"@@1M", t.TempDir()
	elf, menu := filepath.Join(dir, "vmlinux"), filepath.Join(dir, "grub.cfg")
	in, err := os.ReadFile(linux)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if ok, err := kernel.WritePVGrub(t.Context(), bytes.NewReader(in), int64(len(in)), &b); err != nil || !ok {
		t.Fatalf("WritePVGrub = %v, %v", ok, err)
	}
	write(t, elf, b.Bytes())
	write(t, menu, []byte("set enable_progress_indicator=0\nif [ \"$grub_platform\" = xen ]; then\n  linux /vmlinux.xz "+cmdline+
		"\nelse\n  linux /vmlinuz "+cmdline+"\nfi\ninitrd /initramfs\nboot\n"))
	mustRun(t, exec.Command(need(t, "xz", "xz-utils"), "--check=crc32", "--x86", "--lzma2=preset=1,dict=1MiB", elf))
	mustRun(t, exec.Command("mmd", "-i", at, "::/boot", "::/boot/grub"))
	mustRun(t, exec.Command("mcopy", "-i", at, elf+".xz", "::/"))
	mustRun(t, exec.Command("mcopy", "-i", at, menu, "::/boot/grub/grub.cfg"))
}

// onXen boots the test disk on Xen, and hands the guest to use when it serves.
func onXen(t *testing.T, boot Boot, use func(ctx context.Context, r *Running)) {
	t.Helper()
	needXen(t)
	path, _ := bootDisk(t, "serve")
	addGRUB(t, path, guestKernel(t))
	serveOnXen(t, Options{Disk: path, Boot: boot, Memory: 256 << 20, Ports: []Forward{{Guest: 8080}}, StopTimeout: xenWait}, use)
}

// serveOnXen boots a guest on Xen, and hands it to use when it serves.
func serveOnXen(t *testing.T, o Options, use func(ctx context.Context, r *Running)) {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), xenWait)
	defer cancel()
	err = m.Run(t.Context(), func(r *Running) error {
		x, ok := r.Xen()
		if !ok {
			t.Fatal("the machine has no Xen")
		}
		_, err := r.Console().Wait(ctx, func(l Line) bool { return strings.Contains(l.Text, "ready to serve") })
		if err != nil {
			_, why := r.Wait(ctx)
			t.Logf("%v: %v; the console:%s\ndom0:%s", err, why, quote(r.Console().Tail(20)), quote(x.Log().Tail(20)))
			return err
		}
		use(ctx, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// visit asks the guest for its page; it counts visitors in its memory.
func visit(t *testing.T, r *Running, visitor int) {
	t.Helper()
	addr, _ := r.Addr(8080)
	client := http.Client{Timeout: xenWait}
	resp, err := client.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("hello from the guest, visitor %d\n", visitor); err != nil || string(body) != want {
		t.Fatalf("GET = %q, %v; want %q", body, err, want)
	}
}

// shutDown ends the guest by xl shutdown, and the machine after it.
func shutDown(t *testing.T, ctx context.Context, r *Running) {
	t.Helper()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	exit, err := r.Wait(ctx)
	if err != nil || exit.Reason != "guest-shutdown" {
		t.Errorf("Wait = %+v, %v; want guest-shutdown", exit, err)
	}
	tl := r.Timeline()
	up, ok := tl.Dom0(tl.Started)
	if !ok || tl.Dom0Created == 0 || up <= tl.Dom0Created || tl.Stopping == nil {
		t.Errorf("timeline %+v; started at %.1f s of dom0", tl, up)
	}
	t.Logf("dom0's clock: created at %.1f s, started at %.1f s", tl.Dom0Created, up)
}

// save saves the guest and makes it go on where it was.
func save(ctx context.Context, t *testing.T, r *Running) {
	t.Helper()
	x, _ := r.Xen()
	if err := x.Save(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Memory(ctx); err == nil {
		t.Error("a saved guest has memory")
	}
	if err := x.Restore(ctx); err != nil {
		t.Fatal(err)
	}
}

// A PVH guest boots from its disk, gives memory back, and goes on where it was
// after it was saved and restored.
func TestXenPVH(t *testing.T) {
	onXen(t, XenPVH, func(ctx context.Context, r *Running) {
		visit(t, r, 1)
		const less = 128 << 20
		if err := r.SetMemory(ctx, less); err != nil {
			t.Fatal(err)
		}
		for {
			memory, err := r.Memory(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if memory <= less+8<<20 { // what the device model and video have besides
				break
			}
			time.Sleep(time.Second)
		}
		visit(t, r, 2)
		save(ctx, t, r)
		visit(t, r, 3)
		if err := r.SetMemory(ctx, 1); fault.KindOf(err) != fault.Usage {
			t.Errorf("SetMemory(1) = %v", err)
		}
		shutDown(t, ctx, r)
	})
}

func TestXenPV(t *testing.T) {
	onXen(t, XenPV, func(ctx context.Context, r *Running) {
		visit(t, r, 1)
		shutDown(t, ctx, r)
	})
}

// HVM takes minutes: an emulated processor runs firmware that is emulated once
// more.
func TestXenHVM(t *testing.T) {
	if os.Getenv(slowVariable) != "1" {
		t.Skipf("%s is not 1: make test-slow sets it", slowVariable)
	}
	onXen(t, XenHVM, func(ctx context.Context, r *Running) {
		visit(t, r, 1)
		shutDown(t, ctx, r)
	})
}

// A guest on Xen whose kernel dies before init is booted again, with the same
// ports, and no more than three times. One that QEMU runs is not.
func TestXenBootsAgain(t *testing.T) {
	if os.Getenv(slowVariable) != "1" {
		t.Skipf("%s is not 1: make test-slow sets it", slowVariable)
	}
	needXen(t)
	for boot, want := range map[Boot]int{XenPVHDirect: boots, Direct: 1} {
		m, err := New(Options{
			Boot: boot, Kernel: guestKernel(t), Initramfs: guestInitramfs(t), Accel: TCG, Memory: 256 << 20,
			Cmdline: "console=ttyS0 console=hvc0 quiet panic=-1 rdinit=/nothing root=/dev/nothing", Ports: []Forward{{Guest: 8080}},
		})
		if err != nil {
			t.Fatal(err)
		}
		made, ports := 0, map[string]bool{}
		err = m.Run(t.Context(), func(r *Running) error {
			made++
			addr, _ := r.Addr(8080)
			ports[addr] = true
			_, err := r.Wait(t.Context())
			return err
		})
		if fault.KindOf(err) != fault.Check || made != want || len(ports) != 1 {
			t.Errorf("%s: %d boots on %v, %v; want %d", boot, made, ports, err, want)
		}
	}
}

// What counts as a boot that the emulation spoiled.
func TestSpoiled(t *testing.T) {
	t.Parallel()
	at := &Moment{}
	for name, test := range map[string]struct {
		r    *Running
		want bool
	}{
		"died":         {&Running{story: story{timeline: Timeline{Created: at, FirstByte: at}, failure: "panic"}}, true},
		"not on Xen":   {&Running{story: story{timeline: Timeline{FirstByte: at}, failure: "panic"}}, false},
		"said nothing": {&Running{story: story{timeline: Timeline{Created: at}, failure: "panic"}}, false},
		"init ran":     {&Running{story: story{timeline: Timeline{Created: at, FirstByte: at, Up: at}, failure: "panic"}}, false},
		"hangs":        {&Running{story: story{timeline: Timeline{Created: at, FirstByte: at}}}, false},
		"was stopped":  {&Running{story: story{timeline: Timeline{Created: at, FirstByte: at}, failure: "panic"}, stopped: true}, false},
	} {
		if got := test.r.spoiled(); got != test.want {
			t.Errorf("%s: spoiled = %v", name, got)
		}
	}
}

// What the guest cannot do is told before dom0 is made.
func TestXenOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"another bus":  {Boot: XenPVH, Bus: NVMe},
		"another card": {Boot: XenPV, NIC: E1000},
		"KVM":          {Boot: XenPV, Accel: KVM},
		"a board":      {Boot: XenHVM, Machine: PC},
		"HVM kernel":   {Boot: XenHVM, Kernel: "vmlinuz"},
		"xl elsewhere": {Boot: BIOS, XL: &xen.Config{}},
	} {
		o.Disk = "disk.raw"
		if _, err := New(o); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: New = %v, want a usage fault", name, err)
		}
	}
}
