package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// netns is the network namespace of a sandbox and the user namespace that owns
// it.
type netns struct {
	net, user *os.File // user is nil when it is our own
}

func openNetns(pid int) (*netns, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	n := &netns{net: f}
	// ioctl_ns(2): the namespace that owns this one. bwrap may nest two user
	// namespaces; only the owner has power over the network.
	fd, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("finding the owner of the network: %w", err)
	}
	n.user = os.NewFile(uintptr(fd), "user namespace")
	own, err := os.Stat("/proc/self/ns/user")
	if err == nil {
		var info os.FileInfo
		if info, err = n.user.Stat(); err == nil && os.SameFile(own, info) {
			n.user.Close()
			n.user = nil
		}
	}
	if err != nil {
		n.close()
		return nil, fmt.Errorf("comparing user namespaces: %w", err)
	}
	return n, nil
}

func (n *netns) close() {
	n.net.Close()
	if n.user != nil {
		n.user.Close()
	}
}

// Dial connects to an address on the loopback of the sandbox, such as
// "127.0.0.1:8080". Names are not looked up.
func (p *Process) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	select {
	case <-p.done:
		return nil, errors.New("connecting into the sandbox: the program has ended")
	default:
	}
	f := p.first.Load()
	if f == nil {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	ns, err := openNetns(f.pid)
	if err != nil {
		return nil, fmt.Errorf("connecting into the sandbox: %w", err)
	}
	defer ns.close()
	conn, err := ns.dial(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s in the sandbox: %w", address, err)
	}
	return conn, nil
}

// dial has a helper process enter the namespaces, connect there and hand back
// the connection: only a process with a single thread may enter a user
// namespace (setns(2)), which nsenter(1) is and we are not.
func (n *netns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return nil, errors.New("nsenter is not installed; install the package util-linux")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "helper"), os.NewFile(uintptr(pair[1]), "helper")
	defer ours.Close()
	defer theirs.Close()

	// The helper's descriptors: 3 the socket, 4 the network, 5 its owner.
	args := []string{"--preserve-credentials", "--net=/proc/self/fd/4"}
	files := []*os.File{theirs, n.net}
	if n.user != nil {
		args = append(args, "--user=/proc/self/fd/5")
		files = append(files, n.user)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, nsenter, append(args, "--", self, helperArg, "dial", network, address)...)
	cmd.ExtraFiles, cmd.Stderr = files, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return nil, errors.New(text)
		}
		return nil, err
	}
	return receive(ours)
}

// receive takes one connection from a socket (unix(7), SCM_RIGHTS).
func receive(from *os.File) (net.Conn, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("receiving the connection: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("receiving the connection: the helper sent none")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("receiving the connection: the helper sent none")
	}
	f := os.NewFile(uintptr(fds[0]), "connection")
	defer f.Close()
	return net.FileConn(f)
}
