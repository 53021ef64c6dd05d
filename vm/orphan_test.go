package vm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orphanVariable makes this test program one that starts a machine on the disk
// it names, prints QEMU's process id and waits to be killed.
const orphanVariable = "IMGBUILD_TEST_ORPHAN"

func TestMain(m *testing.M) {
	disk := os.Getenv(orphanVariable)
	if disk == "" {
		os.Exit(m.Run())
	}
	if err := becomeOrphanMaker(disk); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func becomeOrphanMaker(disk string) error {
	m, err := New(Options{Disk: disk, Accel: TCG})
	if err != nil {
		return err
	}
	r, err := m.Start(context.Background())
	if err != nil {
		return err
	}
	fmt.Println(r.Pid())
	<-r.Done()
	return nil
}

// QEMU does not outlive its parent, however that ends.
func TestParentDeath(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanVariable+"="+idleDisk(t), "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err := errors.Join(err, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(wait); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("QEMU (%d) outlives its parent", pid)
		}
	}
}

// alive reports whether a process runs; a zombie that waits for whoever adopted
// it does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}
