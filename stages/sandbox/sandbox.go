// Package sandbox runs a program with a given folder as its root, away from
// the machine: its files, its processes and its network, but for a loopback.
// It needs no privileges.
//
// [Find] returns the best sandbox that works here, by trying it:
//
//   - bubblewrap, in namespaces of its own. The root is read-only, the network
//     is a loopback that nothing outside can reach but [Process.Dial], and all
//     processes end with the first.
//   - proot, by ptrace, where user namespaces are not allowed, as in a Docker
//     container. It is slower and weaker: the program sees the machine's
//     processes, and its ports are those of the machine's loopback. A seccomp
//     filter lets it listen but not connect or send anywhere, not even to
//     itself. Landlock, where the kernel has it, keeps it from changing a root
//     that is not below /tmp. All processes end with the last, or when killed.
//
// A program that uses the package calls [HelperMain] before anything else in
// main, because entering a namespace takes a process of its own.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// Sandbox is a way to run programs.
type Sandbox interface {
	// Name of the program that does it.
	Name() string
	// Start starts a command. When ctx ends, all its processes are killed.
	Start(ctx context.Context, c Command) (*Process, error)
}

// Command is what to run.
type Command struct {
	// Root is the folder that becomes the root. Its own /proc, /dev, /tmp and
	// /run are replaced by fresh ones.
	Root string
	// Args are the program, as an absolute path in the sandbox, and its
	// arguments.
	Args []string
	// Env is the whole environment, as "KEY=value".
	Env []string
	// Dir is the working directory; the root by default.
	Dir string
	// UID and GID that the program sees as its own. Outside, it remains the
	// user who started it.
	UID, GID int
	// Hostname that the program sees; "localhost" by default. Without
	// namespaces it sees the machine's, for which /etc/hosts has an address
	// then, if the root has such a file.
	Hostname string
	// CPU, unless 0, makes all threads take turns on one processor: 1 is the
	// first that may be used, and after the last comes the first again.
	CPU int
	// Binds are laid over the root in order.
	Binds []Bind
	// Timeout bounds the running time; 0 means no bound.
	Timeout time.Duration
	// Stdout and Stderr take the output; nil drops it. They may be the same.
	Stdout, Stderr io.Writer
}

// Bind puts a file or folder of the machine, or an empty folder in memory, at
// an absolute path of the sandbox. The path's parent must be the root or exist
// in it. What stood there is hidden.
type Bind struct {
	Source string
	Target string
	Write  bool // the program may change it
	Tmpfs  bool // an empty, writable folder; Source is not used
}

// ExitError tells that the program ran and ended with a status other than 0.
// Death by a signal is 128 and its number, as in a shell.
type ExitError struct {
	Code int
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Run runs a command and waits for its end.
func Run(ctx context.Context, box Sandbox, c Command) error {
	p, err := box.Start(ctx, c)
	if err != nil {
		return err
	}
	return p.Wait()
}

// Find returns the first sandbox that can run a program here. That there is
// none is an error of kind fault.Environment which says why.
func Find(ctx context.Context) (Sandbox, error) {
	var reasons []error
	for _, find := range []func() (Sandbox, error){findBubblewrap, findProot} {
		box, err := find()
		if err == nil {
			if err = probe(ctx, box); err == nil {
				return box, nil
			}
			err = fmt.Errorf("%s: %w", box.Name(), err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		reasons = append(reasons, err)
	}
	return nil, fault.New(fault.Environment, fmt.Errorf("no sandbox works here: %w", errors.Join(reasons...)),
		"install the package bubblewrap",
		"in a container, install the package proot, or allow user namespaces: "+
			"docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined")
}

// probe runs the machine's own true(1).
func probe(ctx context.Context, box Sandbox) error {
	return Run(ctx, box, Command{Root: "/", Args: []string{"/bin/true"}, Timeout: 10 * time.Second})
}

// check refuses what could not work, before anything is started.
func (c *Command) check() error {
	if len(c.Args) == 0 || !path.IsAbs(c.Args[0]) {
		return errors.New("starting a sandbox: the program is not an absolute path")
	}
	if info, err := os.Stat(c.Root); err != nil || !info.IsDir() {
		return fmt.Errorf("starting a sandbox: the root %s is not a folder", c.Root)
	}
	for _, b := range c.Binds {
		if !path.IsAbs(b.Target) || path.Clean(b.Target) == "/" {
			return fmt.Errorf("starting a sandbox: %q is no place for a bind", b.Target)
		}
		if b.Tmpfs {
			continue
		}
		if _, err := os.Stat(b.Source); err != nil {
			return fmt.Errorf("starting a sandbox: %w", err)
		}
	}
	for _, e := range c.Env {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" {
			return fmt.Errorf("starting a sandbox: %q is not a setting of the environment", e)
		}
	}
	return nil
}

func (c *Command) hostname() string {
	if c.Hostname == "" {
		return "localhost"
	}
	return c.Hostname
}

func (c *Command) dir() string {
	if c.Dir == "" {
		return "/"
	}
	return c.Dir
}
