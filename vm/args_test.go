package vm

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestArguments(t *testing.T) {
	t.Parallel()
	loaded := files{kernel: "/k", initramfs: "/i", cmdline: "console=ttyS0 quiet", qmp: 3}
	for name, test := range map[string]struct {
		o Options
		f files
	}{
		"bios": {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Ports: []Forward{{0, 8080}, {2222, 22}}}, files{log: 3, qmp: 4}},
		"uefi": {Options{Disk: "a,b.vmdk", Format: "vmdk", Accel: KVM, Boot: UEFI, Bus: NVMe, CPUs: 2},
			files{firmwareCode: "/code.fd", firmwareVars: "/tmp/v,/vars.fd", qmp: 3}},
		"direct":      {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Boot: Direct, Bus: SCSI, Memory: 1 << 30}, loaded},
		"pvh":         {Options{Kernel: "/k", Accel: TCG, Boot: PVH, NIC: NoNIC}, loaded},
		"microvm":     {Options{Disk: "a.qcow2", Format: "qcow2", Accel: TCG, Boot: PVH, Machine: MicroVM, Ports: []Forward{{0, 80}}}, loaded},
		"vmware":      {Options{Disk: "a.raw", Format: "raw", Write: true, Accel: TCG, Bus: PVSCSI, NIC: VMXNet3}, files{log: 3, qmp: 4}},
		"old":         {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Machine: PC, Bus: IDE, NIC: E1000}, files{log: 3, qmp: 4}},
		"legacy":      {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Machine: PC, Bus: VirtioLegacy, NIC: VirtioNetLegacy}, files{log: 3, qmp: 4}},
		"cd":          {Options{Disk: "a.raw", Format: "raw", Accel: TCG}, files{cd: "/tmp/a,b/cd.iso", log: 3, qmp: 4}},
		"cd-microvm":  {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Boot: PVH, Machine: MicroVM}, files{cd: "/cd.iso", kernel: "/k", qmp: 3}},
		"lsi":         {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Machine: PC, Bus: LSISAS, NIC: E1000}, files{log: 3, qmp: 4}},
		"ahci":        {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Bus: AHCI, NIC: E1000E}, files{log: 3, qmp: 4}},
		"second":      {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Bus: LSISAS}, files{second: "/tmp/a,b/data.raw", log: 3, qmp: 4}},
		"second-nvme": {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Bus: NVMe}, files{second: "/data.raw", log: 3, qmp: 4}},
		"xen": {Options{Disk: "a.raw", Format: "raw", Accel: TCG, Boot: XenPV, Memory: 256 << 20, Ports: []Forward{{0, 8080}}},
			files{qmp: 5, xen: xenFiles{hypervisor: "/xen", kernel: "/vmlinuz", initramfs: "/dom0", saved: "/saved,", control: 3, console: 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := oneOptionALine(arguments(test.o.withDefaults(), test.f))
			golden := filepath.Join("testdata", "args", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("command line (-want +got):\n%s", diff)
			}
		})
	}
}

// oneOptionALine draws a command line so that a change shows well.
func oneOptionALine(args []string) string {
	var b strings.Builder
	for i, a := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(a, "-"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(a)
	}
	return b.String() + "\n"
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		o    Options
		want string // part of the error; empty for none
	}{
		{"disk", Options{Disk: "d"}, ""},
		{"kernel alone", Options{Kernel: "k"}, ""},
		{"nothing", Options{}, "needs a disk"},
		{"microvm bios", Options{Disk: "d", Machine: MicroVM}, "no firmware"},
		{"microvm bus", Options{Disk: "d", Machine: MicroVM, Boot: PVH, Bus: AHCI}, "modern virtio devices only"},
		{"ide on q35", Options{Disk: "d", Bus: IDE}, "needs machine pc"},
		{"cmdline with bios", Options{Disk: "d", Cmdline: "quiet"}, "of no use"},
		{"initramfs alone", Options{Disk: "d", Boot: Direct, Initramfs: "i"}, "needs its kernel"},
		{"memory", Options{Disk: "d", Memory: 1}, "fewer than 16 MiB"},
		{"processors", Options{Disk: "d", CPUs: 300}, "between 1 and 255"},
		{"port", Options{Disk: "d", Ports: []Forward{{0, 70000}}}, "out of range"},
		{"port without card", Options{Disk: "d", NIC: NoNIC, Ports: []Forward{{0, 80}}}, "network card"},
		{"unknown names", Options{Disk: "d", Boot: "tape", Bus: "isa"}, `"isa" is not one of`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(test.o)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("New: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("New = %v, want an error with %q", err, test.want)
			}
		})
	}
}
