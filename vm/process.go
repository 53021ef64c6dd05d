package vm

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spawn starts cmd so that it dies with this process, and calls finish when it
// has started; finish ends with cmd.Wait. The parent-death signal of Linux is
// sent when the *thread* that forked ends (prctl(2), PR_SET_PDEATHSIG), so one
// goroutine keeps its thread from the start to the end.
func spawn(cmd *exec.Cmd, finish func()) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			finish()
		}
	}()
	return <-started
}

// socketPair returns a connection and the file of its other end, which a child
// inherits. No name in the filesystem leads to it.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close() // FileConn makes a copy
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	return conn, theirs, nil
}

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on all of
// Linux's amd64.
const tick = time.Second / 100

// cpuTime returns the processor time that a process has used, with all its
// threads. The fields are utime and stime of proc(5); they are counted from
// behind the program's name, which may hold anything.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading processor time: %w", err)
	}
	const utime, stime = 14 - 3, 15 - 3
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) <= stime {
		return 0, fmt.Errorf("reading processor time: %d fields in stat", len(fields))
	}
	var sum int64
	for _, f := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[f], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading processor time: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}
