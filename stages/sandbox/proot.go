package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// proot runs programs by proot(1).
type proot struct{ path, self string }

func findProot() (Sandbox, error) {
	path, err := exec.LookPath("proot")
	if err != nil {
		return nil, fmt.Errorf("proot is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding our own program: %w", err)
	}
	return proot{path, self}, nil
}

func (proot) Name() string { return "proot" }

// devices are those of the machine that programs may use.
var devices = [...]string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// Start follows Sandbox. The helper lays restrictions on itself and becomes
// proot, which cannot lift them.
func (r proot) Start(ctx context.Context, c Command) (*Process, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "imgbuild-sandbox-")
	if err != nil {
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	cleanup := func() { os.RemoveAll(scratch) }
	args, writable, err := r.args(c, scratch)
	if err != nil {
		cleanup()
		return nil, err
	}
	helper := append([]string{helperArg, "restrict", fmt.Sprint(len(writable))}, writable...)
	p, err := start(ctx, c, launch{
		path:    r.self,
		args:    append(append(helper, r.path), args...),
		env:     c.Env,
		cleanup: cleanup,
	})
	if err != nil {
		cleanup()
	}
	return p, err
}

// args returns proot's arguments and the folders that may be written to. What
// bubblewrap keeps in memory stands in the scratch folder here.
func (r proot) args(c Command, scratch string) (args, writable []string, err error) {
	args = []string{"-v", "-1", "-r", c.Root, "-i", fmt.Sprintf("%d:%d", c.UID, c.GID), "-w", c.dir(), "-b", "/proc"}
	// proot unpacks its loader in /tmp, which the program does not see.
	writable = []string{scratch, "/tmp", "/dev/null", "/dev/zero", "/dev/full"}
	for _, dev := range devices {
		args = append(args, "-b", dev)
	}
	memory := []Bind{{Target: "/tmp", Tmpfs: true}, {Target: "/run", Tmpfs: true}}
	for i, b := range append(memory, c.Binds...) {
		if b.Tmpfs {
			b.Source, b.Write = filepath.Join(scratch, fmt.Sprint(i)), true
			if err := os.Mkdir(b.Source, 0o755); err != nil {
				return nil, nil, fmt.Errorf("starting a sandbox: %w", err)
			}
		}
		args = append(args, "-b", b.Source+":"+b.Target)
		if b.Write {
			writable = append(writable, b.Source)
		}
	}
	hosts, err := c.hosts(scratch)
	if err != nil {
		return nil, nil, fmt.Errorf("naming the host: %w", err)
	}
	if hosts != "" {
		args = append(args, "-b", hosts+":/etc/hosts")
	}
	net, err := loopback(scratch)
	if err != nil {
		return nil, nil, fmt.Errorf("describing the network: %w", err)
	}
	// The exclamation mark keeps proot from following the link that /proc/net
	// is, to its own process (proot(1), -b).
	args = append(args, "-b", net+":/proc/net!")
	return append(args, c.Args...), writable, nil
}

// loopback makes a folder that stands in for /proc/net and tells of a loopback
// alone, as bubblewrap's network has. Java takes from it whether there is IPv6
// (proc(5), if_inet6), and loads other classes when there is none, which is the
// rule in Docker and the exception in a guest.
func loopback(scratch string) (string, error) {
	dir := filepath.Join(scratch, "net")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	text := "00000000000000000000000000000001 01 80 10 80       lo\n"
	return dir, os.WriteFile(filepath.Join(dir, "if_inet6"), []byte(text), 0o444)
}

// hosts writes the root's /etc/hosts with a line for the machine's name, which
// the program sees as its own: in a container no other file knows it, and Java
// asks for its address. It returns "" when the root has no such file.
func (c *Command) hosts(scratch string) (string, error) {
	own := filepath.Join(c.Root, "etc/hosts")
	if info, err := os.Lstat(own); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	text, err := os.ReadFile(own)
	if err != nil {
		return "", err
	}
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	path := filepath.Join(scratch, "hosts")
	return path, os.WriteFile(path, fmt.Appendf(text, "\n127.0.1.1\t%s\n", name), 0o444)
}
