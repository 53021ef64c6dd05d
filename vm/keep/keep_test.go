package keep

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
)

func TestMain(m *testing.M) {
	if HelperMain(os.Args) {
		return
	}
	os.Exit(m.Run())
}

// wait bounds how long a test waits for what must come; it is no measure.
const wait = 2 * time.Minute

// talker is a disk whose boot sector writes a line to the serial port and then
// does nothing, for ever: it does not hear the power button either.
func talker(t *testing.T) vm.Options {
	t.Helper()
	if _, err := exec.LookPath(vm.DefaultQEMU); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("QEMU is missing: install the package qemu-system-x86")
		}
		t.Skip("QEMU is missing: install the package qemu-system-x86")
	}
	sector := make([]byte, 512)
	copy(sector, []byte{
		0xfa,             // cli
		0xbe, 0x20, 0x7c, // mov si, text
		0xba, 0xf8, 0x03, // mov dx, COM1
		0x2e, 0xac, // cs lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz hang
		0xee,       // out dx, al
		0xeb, 0xf7, // jmp lodsb
		0xf4,       // hang: hlt
		0xeb, 0xfd, // jmp hang
	})
	copy(sector[0x20:], "hello from the sector\r\n\x00")
	sector[510], sector[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "talker.raw")
	if err := errors.Join(os.WriteFile(path, sector, 0o600), os.Truncate(path, 1<<20)); err != nil {
		t.Fatal(err)
	}
	return vm.Options{Disk: path, Accel: vm.TCG, Memory: 16 << 20, NIC: vm.NoNIC, StopTimeout: time.Second, Log: func(string) {}}
}

func begin(t *testing.T, dir string, o vm.Options) Machine {
	t.Helper()
	m, err := Start(t.Context(), dir, Spec{Name: "talker", Target: "bios", Options: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := m.Stop(context.Background(), true); err != nil && fault.KindOf(err) != fault.Check {
			t.Error(err)
		}
	})
	return m
}

// only returns the one machine of a folder.
func only(t *testing.T, dir string) Machine {
	t.Helper()
	list, err := List(dir)
	if err != nil || len(list) != 1 {
		t.Fatalf("List = %+v, %v; want one machine", list, err)
	}
	return list[0]
}

// await waits until the machine is in a state.
func await(t *testing.T, dir string, want State) Machine {
	t.Helper()
	for deadline := time.Now().Add(wait); ; time.Sleep(look) {
		m := only(t, dir)
		if m.State == want {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("the machine is %s, not %s", m.State, want)
		}
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestLife(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "machines")
	m := begin(t, dir, talker(t))
	if m.ID != "talker-1" || m.State != Running || m.Target != "bios" || m.Accel != vm.TCG || gone(m.QEMU) || gone(m.Keeper) {
		t.Fatalf("Start = %+v", m)
	}
	var log sniffer
	log.want, log.seen = "hello from the sector", make(chan struct{})
	followed := make(chan error, 1)
	go func() { followed <- m.Logs(context.Background(), &log, true) }()
	select {
	case <-log.seen:
	case <-time.After(wait):
		t.Fatal("the console was not followed")
	}
	// This guest has no ear for the button: the plug is pulled, and that is told.
	stopped, err := m.Stop(t.Context(), false)
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "did not power off within 1s") ||
		stopped.State != Ended || stopped.End == nil || stopped.End.Reason != "host-qmp-quit" {
		t.Errorf("Stop = %+v, %+v, %v", stopped, stopped.End, err)
	}
	if err := <-followed; err != nil {
		t.Errorf("Logs = %v", err)
	}
	if !gone(m.QEMU) {
		t.Error("QEMU is still there")
	}
	if again, err := m.Stop(t.Context(), false); again.State != Ended || fault.KindOf(err) != fault.Check {
		t.Errorf("a second Stop = %+v, %v", again, err)
	}
	var kept bytes.Buffer
	if err := only(t, dir).Logs(t.Context(), &kept, false); err != nil || !strings.Contains(kept.String(), "hello from the sector") {
		t.Errorf("the log of an ended machine is %q, %v", kept.String(), err)
	}
	if err := m.Forget(); err != nil {
		t.Error(err)
	}
	if _, err := Find(dir, m.ID); fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) == 0 {
		t.Errorf("Find = %v for a machine that was forgotten", err)
	}
}

// sniffer closes seen when it has seen the text.
type sniffer struct {
	want string
	seen chan struct{}
	got  []byte
	once sync.Once
}

func (s *sniffer) Write(b []byte) (int, error) {
	s.got = append(s.got, b...)
	if bytes.Contains(s.got, []byte(s.want)) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(b), nil
}

// A killed keeper leaves no machine, and what is left of it does not lie.
func TestKilledKeeper(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := begin(t, dir, talker(t))
	if err := m.Forget(); fault.KindOf(err) != fault.Usage {
		t.Errorf("Forget = %v for a machine that runs", err)
	}
	if err := syscall.Kill(m.Keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dead := await(t, dir, Dead)
	for deadline := time.Now().Add(wait); !gone(m.QEMU); time.Sleep(look) {
		if time.Now().After(deadline) {
			t.Fatal("QEMU outlived its keeper")
		}
	}
	if _, err := os.Stat(filepath.Join(dead.dir, scratchDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its scratch folder is there: %v", err)
	}
	if now, err := dead.Stop(t.Context(), false); err != nil || now.State != Dead {
		t.Errorf("Stop = %+v, %v for a dead machine", now, err)
	}
	// Its number may be another process's by now: this one's, say.
	dead.Keeper = os.Getpid()
	if _, err := dead.Stop(t.Context(), false); err != nil {
		t.Error(err)
	}
	old := time.Now().Add(-keepFor - time.Hour)
	if err := os.Chtimes(dead.dir, old, old); err != nil {
		t.Fatal(err)
	}
	if list, err := List(dir); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v a day later", list, err)
	}
}

// A QEMU that is killed is an end like others.
func TestKilledQEMU(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := begin(t, dir, talker(t))
	if err := syscall.Kill(m.QEMU, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if m := await(t, dir, Ended); m.End.Reason != "killed" {
		t.Errorf("the end is %+v", m.End)
	}
}

// Many users of one folder get machines of their own.
func TestManyUsers(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), talker(t)
	var all sync.WaitGroup
	ids := make([]string, 4)
	for i := range ids {
		all.Go(func() {
			m, err := Start(t.Context(), dir, Spec{Name: "talker", Options: o})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := List(dir); err != nil {
				t.Error(err)
			}
			ids[i] = m.ID
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // of one who cannot wait
			if m, err := m.Stop(ctx, false); err != nil || m.State != Ended || m.End.Reason == "" {
				t.Errorf("Stop = %+v, %v", m, err)
			}
		})
	}
	all.Wait()
	slices.Sort(ids)
	if got := strings.Join(ids, " "); got != "talker-1 talker-2 talker-3 talker-4" {
		t.Errorf("the machines are %s", got)
	}
}

// A machine that cannot be started leaves nothing, and its error arrives whole.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), talker(t)
	o.Format = "qcow2" // it is not
	_, err := Start(t.Context(), dir, Spec{Name: "talker", Options: o})
	if fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "not in qcow2 format") {
		t.Errorf("Start = %v, want QEMU's own words", err)
	}
	if list, err := List(dir); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// A log is bounded, whatever a guest writes, and is followed through its turns.
func TestLogTurns(t *testing.T) {
	t.Parallel()
	m := Machine{ID: "x", dir: t.TempDir()}
	lock, err := lockFor(filepath.Join(m.dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	log, err := openLog(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	write := func(b byte, n int) {
		for range n {
			if _, err := log.Write(bytes.Repeat([]byte{b}, 1<<20)); err != nil {
				t.Error(err)
			}
		}
	}
	write('a', 8)
	r, w := io.Pipe()
	go func() { w.CloseWithError(m.Logs(t.Context(), w, true)) }()
	count := func(b byte, n int) {
		got := make([]byte, n<<20)
		if _, err := io.ReadFull(r, got); err != nil || bytes.Count(got, []byte{b}) != len(got) {
			t.Errorf("following %c: %v", b, err)
		}
	}
	count('a', 8)
	write('b', 8)
	count('b', 8)
	write('c', 3)
	lock.Close()
	count('c', 3)
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("%d bytes behind the end, %v", len(rest), err)
	}
	var kept bytes.Buffer
	if err := m.Logs(t.Context(), &kept, false); err != nil || kept.Len() != 11<<20 {
		t.Errorf("the log has %d bytes, %v", kept.Len(), err)
	}
}
