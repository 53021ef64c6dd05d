package vm

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStory(t *testing.T) {
	t.Parallel()
	var s story
	for i, line := range strings.Split(strings.TrimSpace(`
SYSLINUX 6.04 Loading /vmlinuz... okimgbuild: up 0.912
imgbuild: network eth0 10.0.2.15/24
imgbuild: started pid 87 at 0.934
imgbuild: listening 2181 at 0.990
imgbuild: listening 2181 8080 at 1.100
imgbuild: listening to you
the app says imgbuild: failed and imgbuild: poweroff in a sentence.
no line end here: imgbuild: exited signal 9
imgbuild: restarting in 1s
imgbuild: started pid 91 at 1.950
imgbuild: exited status 3
imgbuild: stopping power button
imgbuild: poweroff`), "\n") {
		s.see(line, Moment{Wall: float64(i)})
	}
	at := func(wall float64) *Moment { return &Moment{Wall: wall} }
	want := Timeline{
		Up: at(0), Network: at(1), Started: at(2), Ready: at(3), Exited: at(10), Stopping: at(11), Off: at(12),
		GuestUp: 0.912, GuestStarted: 0.934, GuestReady: 0.990,
	}
	if diff := cmp.Diff(want, s.timeline); diff != "" {
		t.Errorf("timeline (-want +got):\n%s", diff)
	}
	if s.status == nil || *s.status != (Status{Code: 3}) || s.failure != "" || s.halted {
		t.Errorf("story = %+v", s)
	}
	if diff := cmp.Diff([]int{2181, 8080}, s.ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestPhases(t *testing.T) {
	t.Parallel()
	at := func(wall float64) *Moment { return &Moment{Wall: wall} }
	for _, test := range []struct {
		name string
		t    Timeline
		want []Phase
	}{
		{"whole", Timeline{Up: at(3), Started: at(3.5), Ready: at(5), Answered: at(6), GuestUp: 2},
			[]Phase{{"firmware", 0, 1}, {"kernel", 1, 3}, {"init", 3, 3.5}, {"app", 3.5, 5}, {"answer", 5, 6}}},
		{"no port", Timeline{Up: at(3), Started: at(3.5), Answered: at(6), GuestUp: 2},
			[]Phase{{"firmware", 0, 1}, {"kernel", 1, 3}, {"init", 3, 3.5}, {"app", 3.5, 6}}},
		{"a clock that runs ahead", Timeline{Up: at(3), GuestUp: 4}, []Phase{{"firmware", 0, 0}, {"kernel", 0, 3}}},
		{"nothing", Timeline{FirstByte: at(1)}, nil},
	} {
		if diff := cmp.Diff(test.want, test.t.Phases()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ line, want string }{
		{"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"},
		{"[    1.234567] Kernel panic - not syncing: Fatal exception", "Kernel panic - not syncing: Fatal exception"},
		{"[    1.234567][    T1] VFS: Cannot open root device \"vda\" or unknown-block(0,0): error -6", "VFS: Cannot open root device \"vda\" or unknown-block(0,0): error -6"},
		{"[    2.000000] [   T12] Kernel panic - not syncing: x", "Kernel panic - not syncing: x"},
		{"BdsDxe: No bootable option or device was found.", "BdsDxe: No bootable option or device was found."},
		{"imgbuild: failed mounting /data: no such device", "init failed mounting /data: no such device"},
		{"the log of an app: Kernel panic - not syncing", ""},
		{"---[ end Kernel panic - not syncing: x ]---", ""},
		{"EFI stub: ERROR: Failed to decompress kernel", "EFI stub: ERROR: Failed to decompress kernel"},
		{"EFI stub: Loaded initrd from command line option", ""},
		{"imgbuild: warning renewing the lease: timeout", ""},
	} {
		var s story
		if s.see(test.line, Moment{}); s.failure != test.want {
			t.Errorf("%q is the failure %q, want %q", test.line, s.failure, test.want)
		}
	}
}

func TestCPUTime(t *testing.T) {
	t.Parallel()
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after <= before+2*tick; {
		if after, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cpuTime(1 << 30); err == nil {
		t.Error("a process that does not exist has used processor time")
	}
}
