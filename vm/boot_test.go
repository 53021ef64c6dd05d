package vm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// wait bounds how long a test waits for what must come; it is no measure.
const wait = 2 * time.Minute

func waitFor(t *testing.T, r *Running, text string) Line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	line, err := r.Console().Wait(ctx, func(l Line) bool { return strings.Contains(l.Text, text) })
	if err != nil {
		t.Fatalf("waiting for %q: %v%s", text, err, quote(r.Console().Tail(20)))
	}
	return line
}

func TestStartServeStop(t *testing.T) {
	t.Parallel()
	r := boot(t, "serve", Options{CPUs: 2, Ports: []Forward{{Guest: 8080}, {Guest: 7}}})
	waitFor(t, r, "ready to serve")
	addr, ok := r.Addr(8080)
	if !ok || !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Fatalf("Addr = %q, %v", addr, ok)
	}
	if status, err := r.QMP().Status(t.Context()); err != nil || status != "running" {
		t.Errorf("Status = %q, %v", status, err)
	}
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "hello from the guest") {
		t.Errorf("GET = %q, %v", body, err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	exit, err := r.Wait(t.Context())
	if err != nil || exit.Reason != "guest-shutdown" {
		t.Errorf("Wait = %+v, %v; want guest-shutdown", exit, err)
	}
	tl := r.Timeline()
	for name, m := range map[string]*Moment{"first byte": tl.FirstByte, "up": tl.Up, "network": tl.Network,
		"started": tl.Started, "stopping": tl.Stopping, "off": tl.Off} {
		if m == nil {
			t.Errorf("the timeline has no %s", name)
		}
	}
	if tl.GuestUp == 0 || tl.GuestStarted < tl.GuestUp || tl.Started == nil || tl.Started.CPU == 0 {
		t.Errorf("timeline %+v lacks clocks", tl)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	r := boot(t, "exit", Options{Boot: Direct, Machine: PC, NIC: E1000})
	exit, err := r.Wait(t.Context())
	if err != nil || exit.App == nil || *exit.App != (Status{Code: 3}) || exit.Reason != "guest-shutdown" {
		t.Errorf("Wait = %+v, %v; want status 3", exit, err)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	t.Parallel()
	r := boot(t, "return", Options{})
	select {
	case <-r.Failed():
	case <-time.After(wait):
		t.Fatal("the panic was not noticed")
	}
	_, err := r.Wait(t.Context())
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "Kernel panic - not syncing: Attempted to kill init!") {
		t.Errorf("Wait = %v, want the panic as a check fault", err)
	}
}

func TestStopPullsThePlug(t *testing.T) {
	t.Parallel()
	r := boot(t, "hang", Options{StopTimeout: time.Second})
	waitFor(t, r, "started")
	err := r.Stop(t.Context())
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "did not power off within 1s") {
		t.Errorf("Stop = %v", err)
	}
	exit, err := r.Wait(t.Context())
	if err != nil || exit.Reason != "host-qmp-quit" {
		t.Errorf("Wait = %+v, %v; want host-qmp-quit", exit, err)
	}
}

func TestContextEndsTheMachine(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	ctx, cancel := context.WithCancel(t.Context())
	r := start(ctx, t, Options{Disk: idleDisk(t), Accel: TCG})
	cancel()
	<-r.Done()
	if err := syscall.Kill(r.Pid(), 0); err != syscall.ESRCH {
		t.Errorf("QEMU is still there: %v", err)
	}
}

func TestNothingToBoot(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	r := start(t.Context(), t, Options{Disk: emptyDisk(t), Accel: TCG})
	_, err := r.Wait(t.Context())
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "nothing to boot") {
		t.Errorf("Wait = %v, want nothing to boot", err)
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	first := start(t.Context(), t, Options{Disk: emptyDisk(t), Accel: TCG, Ports: []Forward{{Guest: 80}}})
	m, err := New(Options{Disk: emptyDisk(t), Accel: TCG, Ports: []Forward{{Host: first.Ports()[0].Host, Guest: 80}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Start(t.Context())
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "Could not set up host forwarding rule") {
		t.Errorf("Start = %v, want QEMU's own words", err)
	}
}

func start(ctx context.Context, t *testing.T, o Options) *Running {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill(); <-r.Done() })
	return r
}

// emptyDisk is a disk that no firmware boots.
func emptyDisk(t *testing.T) string {
	t.Helper()
	return diskOf(t, nil)
}

// idleDisk is a disk whose boot sector does nothing, for ever.
func idleDisk(t *testing.T) string {
	t.Helper()
	sector := make([]byte, 512)
	copy(sector, []byte{0xfa, 0xf4, 0xeb, 0xfd}) // cli; hlt; jmp to hlt
	sector[510], sector[511] = 0x55, 0xaa
	return diskOf(t, sector)
}

func diskOf(t *testing.T, head []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a, b.raw")
	if err := errors.Join(os.WriteFile(path, head, 0o600), os.Truncate(path, canarySize)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	r := start(t.Context(), t, Options{Disk: idleDisk(t), Accel: TCG})
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if status, err := r.QMP().Status(ctx); err != nil || status != "running" {
		t.Errorf("Status = %q, %v; want running", status, err)
	}
	if err := r.QMP().Do(ctx, "no-such-command", nil, nil); err == nil || !strings.Contains(err.Error(), "CommandNotFound") {
		t.Errorf("Do(no-such-command) = %v", err)
	}
	if err := r.QMP().Do(ctx, "query-status", nil, new(int)); err == nil {
		t.Error("an object was decoded into a number")
	}
	if err := r.QMP().Quit(ctx); err != nil {
		t.Errorf("Quit: %v", err)
	}
	exit, err := r.Wait(ctx)
	if err != nil || exit.Reason != "host-qmp-quit" {
		t.Errorf("Wait = %+v, %v", exit, err)
	}
	if _, err := r.QMP().Status(ctx); err == nil {
		t.Error("a machine that has ended tells its status")
	}
	if err := r.Stop(ctx); err != nil {
		t.Errorf("Stop of a machine that has ended: %v", err)
	}
}
