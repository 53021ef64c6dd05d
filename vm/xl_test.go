package vm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// writeXen writes the files of the output xen over the test disk, for the
// bridge of dom0, and returns the path of a configuration without its ending.
func writeXen(t *testing.T, folder string) string {
	t.Helper()
	path, _ := bootDisk(t, "serve")
	addGRUB(t, path, guestKernel(t))
	d, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := formats.Select("xen", map[string]any{"bridge": "guests", "folder": folder})
	if err != nil {
		t.Fatal(err)
	}
	a := output.Appliance{Name: "served", CPUs: 1, Memory: 256 << 20, Firmware: "any", Kernel: output.Kernel{
		Cmdline: "console=hvc0 console=ttyS0 quiet ip=dhcp guest=serve", Image: guestKernel(t), Initramfs: guestInitramfs(t),
	}}
	if _, err := output.Write(t.Context(), a, d, dir, []output.Selected{s}, nil); err != nil {
		t.Fatal(err)
	}
	return dir.Path("served")
}

// TestXenOutput starts a guest by each configuration that the output xen writes,
// until it answers. All but PVH take long together.
func TestXenOutput(t *testing.T) {
	needXen(t)
	for mode, folder := range map[string]string{"pvh": "", "pv": "/srv/guests", "pvh-direct": "/srv/guests", "pv-direct": "", "hvm": "/srv/guests"} {
		t.Run(mode, func(t *testing.T) {
			if mode != "pvh" && os.Getenv(slowVariable) != "1" {
				t.Skipf("%s is not 1: make test-slow sets it", slowVariable)
			}
			serveOnXen(t, byXL(t, writeXen(t, folder), mode), func(ctx context.Context, r *Running) {
				visit(t, r, 1)
				if mode == "pvh-direct" {
					reboot(ctx, t, r)
					visit(t, r, 1)
				}
				shutDown(t, ctx, r)
			})
		})
	}
}

// byXL returns the options of a machine whose guest is created by a
// configuration of those files, which it names in whatever folder.
func byXL(t *testing.T, stem, mode string) Options {
	t.Helper()
	text, err := os.ReadFile(stem + "." + mode + ".cfg")
	if err != nil {
		t.Fatal(err)
	}
	c, err := xlcfg.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	_, target, ok := strings.Cut(c.List("disk")[0], "target=")
	if !ok {
		t.Fatalf("the disks are %q", c.List("disk"))
	}
	own := &xen.Config{Text: text, Disk: target, Files: map[string]string{}}
	beside := func(name string) string { return filepath.Join(filepath.Dir(stem), filepath.Base(name)) }
	for _, key := range []string{"kernel", "ramdisk"} {
		if name := c.Text(key); strings.HasSuffix(mode, "-direct") {
			own.Files[name] = beside(name)
		}
	}
	return Options{
		Disk: beside(target), Boot: Boot("xen-" + mode), XL: own, Memory: c.Int("memory") << 20, CPUs: int(c.Int("vcpus")),
		Ports: []Forward{{Guest: 8080}}, StopTimeout: xenWait,
	}
}

// reboot lets the guest begin anew, as xl does it by the names in its
// configuration. dom0 is told that it will come back, and where its console is.
func reboot(ctx context.Context, t *testing.T, r *Running) {
	t.Helper()
	seen := len(r.Console().Tail(1 << 20))
	x, _ := r.Xen()
	const again = `touch /run/saved; xl reboot -F guest; until xl list guest 2>/dev/null | grep -q ' 2 '; do sleep 1; done; attach 2; rm /run/saved`
	if out, err := x.control.Run(ctx, again); err != nil {
		t.Fatal(out, err)
	}
	for {
		for _, l := range r.Console().Tail(1 << 20)[seen:] {
			if strings.Contains(l.Text, "ready to serve") {
				return
			}
		}
		if ctx.Err() != nil {
			t.Fatalf("after the reboot the console is%s\ndom0:%s", quote(r.Console().Tail(20)), quote(x.Log().Tail(20)))
		}
		time.Sleep(time.Second)
	}
}
