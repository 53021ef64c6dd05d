package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// helperArg marks a run of our own program as the helper.
const helperArg = "--imgbuild-sandbox-helper"

// HelperMain does the work of a helper process if args, which are os.Args, ask
// for it, and does not return then in most cases. It returns true when main
// has nothing more to do. Call it first in main, and in TestMain of packages
// whose tests use a sandbox.
func HelperMain(args []string) bool {
	if len(args) < 3 || args[1] != helperArg {
		return false
	}
	var err error
	switch {
	case args[2] == "dial" && len(args) == 5:
		err = helpDial(args[3], args[4])
	case args[2] == "restrict":
		err = helpRestrict(args[3:])
	default:
		err = errors.New("this mode is for the program itself")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// helpDial connects and sends the connection over descriptor 3.
func helpDial(network, address string) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return cause(err)
	}
	defer conn.Close()
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("a %s connection cannot be handed on", network)
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = rc.Control(func(fd uintptr) {
		sendErr = unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0)
	})
	return errors.Join(err, sendErr)
}

// cause drops the addresses from an error of the network, which the caller
// names itself.
func cause(err error) error {
	var op *net.OpError
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return sys
	}
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
