package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// helpRestrict lays the restrictions on itself and becomes another program.
// args are the number of writable paths, the paths, the program and its
// arguments.
func helpRestrict(args []string) error {
	if len(args) == 0 {
		return errors.New("restricting: no arguments")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 0 || len(args) < n+2 {
		return errors.New("restricting: arguments are missing")
	}
	writable, command := args[1:1+n], args[1+n:]
	// Both restrictions are a thread's own, and exec keeps those of the
	// thread that calls it.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}
	if err := restrictWrites(writable); err != nil {
		return err
	}
	if err := restrictCalls(); err != nil {
		return err
	}
	return fmt.Errorf("starting %s: %w", command[0], unix.Exec(command[0], command, os.Environ()))
}

// untranslated are system calls that take a path and that proot 5.1, the one of
// Debian 12, does not know: they would see the machine's files instead of the
// root's. Where the kernel lacks them the C library uses older ones. Java, for
// one, looks for its modules by statx.
var untranslated = [...]uint32{
	unix.SYS_STATX, unix.SYS_FACCESSAT2, unix.SYS_OPENAT2, unix.SYS_FCHMODAT2, unix.SYS_EXECVEAT,
}

// talking are the system calls that begin to talk to somebody.
var talking = [...]uint32{unix.SYS_CONNECT, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_IO_URING_SETUP}

// restrictCalls installs a seccomp filter (seccomp(2)) that lets a program
// listen and answer but not begin to talk. A filter sees numbers and pointers,
// not addresses, so connect is refused as a whole, also to a Unix socket, and
// sendto where it names an address. Calls that proot does not translate seem
// not to exist.
func restrictCalls() error {
	filter := callFilter()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("restricting system calls: %w", errno)
	}
	return nil
}

// callFilter is the program of the filter.
func callFilter() []unix.SockFilter {
	const denied = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
	const absent = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	jump := func(op uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	// struct seccomp_data: nr at 0, arch at 4, args from 16, 8 bytes each.
	const nr, arch, addrLow, addrHigh, x32 = 0, 4, 16 + 4*8, 16 + 4*8 + 4, 0x40000000
	filter := []unix.SockFilter{
		load(arch),
		jump(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, 1, 0),
		ret(denied), // other system call tables
		load(nr),
		jump(unix.BPF_JGE, x32, 0, 1),
		ret(denied),
	}
	for _, call := range untranslated {
		filter = append(filter, jump(unix.BPF_JEQ, call, 0, 1), ret(absent))
	}
	for _, call := range talking {
		filter = append(filter, jump(unix.BPF_JEQ, call, 0, 1), ret(denied))
	}
	return append(filter,
		jump(unix.BPF_JEQ, unix.SYS_SENDTO, 0, 4),
		load(addrLow),
		jump(unix.BPF_JEQ, 0, 0, 3),
		load(addrHigh),
		jump(unix.BPF_JEQ, 0, 0, 1),
		ret(unix.SECCOMP_RET_ALLOW),
		ret(denied),
	)
}

// writes are the rights that Landlock's first version names for changing
// files and folders (landlock(7)).
const writes = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
	unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
	unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
	unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM

// restrictWrites allows changes in the given files and folders alone. A kernel
// without Landlock restricts nothing.
func restrictWrites(paths []string) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: writes}
	// The first version of the structure has one field of eight bytes.
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), 8, 0)
	if errno == unix.ENOSYS || errno == unix.EOPNOTSUPP || errno == unix.EPERM {
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("restricting writes: %w", errno)
	}
	defer unix.Close(int(fd))
	for _, path := range paths {
		if err := allowWrites(fd, path); err != nil {
			return fmt.Errorf("allowing writes to %s: %w", path, err)
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("restricting writes: %w", errno)
	}
	return nil
}

func allowWrites(ruleset uintptr, path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: writes, Parent_fd: int32(fd)}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rule.Allowed_access = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
