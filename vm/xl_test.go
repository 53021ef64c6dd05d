package vm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
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
			o, err := FromXL(writeXen(t, folder) + "." + mode + ".cfg")
			if err != nil {
				t.Fatal(err)
			}
			if want := Boot("xen-" + mode); o.Boot != want || o.Memory != 256<<20 || o.CPUs != 1 {
				t.Errorf("the options are %+v", o)
			}
			o.Ports, o.StopTimeout = []Forward{{Guest: 8080}}, xenWait
			serveOnXen(t, o, func(ctx context.Context, r *Running) {
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

func TestFromXL(t *testing.T) {
	t.Parallel()
	const disks = "disk = ['format=raw,vdev=xvda,target=a.raw']\n"
	for name, test := range map[string]struct {
		text, word string
		boot       Boot
	}{
		"loaded":     {disks + "type = 'pv'\nkernel = 'vmlinuz'\nmemory = 64\nvcpus = 2\nvif = ['']", "", XenPVDirect},
		"firmware":   {disks + "type = 'hvm'\nmemory = 64\nvcpus = 2\nvif = ['']", "", XenHVM},
		"no disk":    {"type = 'pv'", "0 disks", ""},
		"two disks":  {"disk = ['a', 'b']", "2 disks", ""},
		"old syntax": {"type = 'pv'\ndisk = ['phy:/dev/sda,xvda,w']", "no target", ""},
		"no type":    {disks, "type \"\"", ""},
		"broken":     {"type", "no =", ""},
	} {
		path := filepath.Join(t.TempDir(), "a.cfg")
		write(t, path, []byte(test.text))
		o, err := FromXL(path)
		if test.word != "" {
			if err == nil || !strings.Contains(err.Error(), test.word) || fault.KindOf(err) != fault.Input {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || o.Boot != test.boot || o.Disk != filepath.Join(filepath.Dir(path), "a.raw") || o.Memory != 64<<20 || o.CPUs != 2 || o.XL != path {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	if _, err := FromXL(filepath.Join(t.TempDir(), "none")); fault.KindOf(err) != fault.Input {
		t.Errorf("%v", err)
	}
}
