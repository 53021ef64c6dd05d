package sandbox

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// bubblewrap runs programs by bwrap(1).
type bubblewrap struct{ path string }

func findBubblewrap() (Sandbox, error) {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, fmt.Errorf("bubblewrap is not installed")
	}
	return bubblewrap{path}, nil
}

func (bubblewrap) Name() string { return "bubblewrap" }

// Start follows Sandbox.
func (b bubblewrap) Start(ctx context.Context, c Command) (*Process, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	args, err := b.args(c)
	if err != nil {
		return nil, err
	}
	return start(ctx, c, launch{path: b.path, args: args, status: true})
}

// statusFD is the descriptor on which bwrap reports, in the child: the first
// of exec.Cmd.ExtraFiles.
const statusFD = 3

// args builds the root from its parts instead of binding it as a whole, so
// that mount points can be made in it without touching the folder itself.
func (b bubblewrap) args(c Command) ([]string, error) {
	args := []string{
		"--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
		"--uid", strconv.Itoa(c.UID), "--gid", strconv.Itoa(c.GID), "--hostname", c.hostname(),
		"--json-status-fd", strconv.Itoa(statusFD), "--clearenv",
	}
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		args = append(args, "--setenv", name, value)
	}
	entries, err := os.ReadDir(c.Root)
	if err != nil {
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	for _, e := range entries {
		host, guest := filepath.Join(c.Root, e.Name()), "/"+e.Name()
		switch {
		case fresh(guest):
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(host)
			if err != nil {
				return nil, fmt.Errorf("starting a sandbox: %w", err)
			}
			args = append(args, "--symlink", target, guest)
		case e.IsDir() || e.Type().IsRegular():
			args = append(args, "--ro-bind", host, guest)
		}
	}
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run")
	for _, bind := range c.Binds {
		switch {
		case bind.Tmpfs:
			args = append(args, "--tmpfs", bind.Target)
		case bind.Write:
			args = append(args, "--bind", bind.Source, bind.Target)
		default:
			args = append(args, "--ro-bind", bind.Source, bind.Target)
		}
	}
	args = append(args, "--remount-ro", "/", "--chdir", c.dir(), "--")
	return append(args, c.Args...), nil
}

// fresh reports the folders that each sandbox makes anew.
func fresh(guest string) bool {
	return guest == "/proc" || guest == "/dev" || guest == "/tmp" || guest == "/run"
}
