package xen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// apt runs apt in a folder of its own, with an empty package state: the machine
// gives its sources and their keys, and nothing of it is changed.
type apt struct{ dir string }

// aptSettings keep the machine's hooks from running (apt.conf(5)) and its
// download user from being looked for in a private folder.
const aptSettings = `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Debug::NoLocking "true";
`

// openApt makes the folder and gets the package lists.
func openApt(ctx context.Context, dir string) (*apt, error) {
	a := &apt{dir: dir}
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fault.New(fault.Environment, fmt.Errorf("preparing apt's private folder: %w", err))
		}
	}
	conf := fmt.Sprintf("%sDir::State %q;\nDir::State::status %q;\nDir::Cache %q;\nDir::Log %q;\n", aptSettings,
		filepath.Join(dir, "state"), filepath.Join(dir, "status"), filepath.Join(dir, "cache"), dir)
	err := errors.Join(os.WriteFile(filepath.Join(dir, "status"), nil, 0o644), os.WriteFile(a.conf(), []byte(conf), 0o644))
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("configuring apt: %w", err))
	}
	if _, err := a.run(ctx, "apt-get", "update"); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *apt) conf() string { return filepath.Join(a.dir, "apt.conf") }

// kernel returns the name of the package with dom0's kernel.
func (a *apt) kernel(ctx context.Context) (string, error) {
	out, err := a.run(ctx, "apt-cache", "depends", kernelMeta)
	if err != nil {
		return "", err
	}
	name, err := kernelPackage(out)
	return name, fault.New(fault.Input, err)
}

// exactly pins the named packages alone.
func (a *apt) exactly(ctx context.Context, names ...string) ([]string, error) {
	out, err := a.run(ctx, "apt-get", append([]string{"--print-uris", "download"}, names...)...)
	return pinned(out, len(names), err)
}

// closure pins a package and all that it depends on.
func (a *apt) closure(ctx context.Context, name string) ([]string, error) {
	out, err := a.run(ctx, "apt-get", "--print-uris", "--yes", "install", name)
	return pinned(out, 1, err)
}

func pinned(uris string, atLeast int, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	list := pins(uris)
	if len(list) < atLeast {
		return nil, fault.New(fault.Input, fmt.Errorf("apt names %d packages of %d", len(list), atLeast))
	}
	return list, nil
}

// unpack downloads packages, whose digests apt compares with its signed lists,
// and unpacks them below root.
func (a *apt) unpack(ctx context.Context, packages []string, root string) error {
	debs, err := os.MkdirTemp(a.dir, "debs-")
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("making room for packages: %w", err))
	}
	defer os.RemoveAll(debs)
	if _, err := a.runIn(ctx, debs, "apt-get", append([]string{"download"}, packages...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(files) != len(packages) {
		return fault.New(fault.Input, fmt.Errorf("apt downloaded %d packages of %d", len(files), len(packages)))
	}
	for _, deb := range files {
		if _, err := a.run(ctx, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
	}
	return nil
}

func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	return a.runIn(ctx, a.dir, program, args...)
}

// runIn runs a program and returns what it printed.
func (a *apt) runIn(ctx context.Context, dir, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "APT_CONFIG="+a.conf())
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // apt ends its helpers then
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return "", fault.New(fault.Environment, fmt.Errorf("getting Xen: %w", err),
			"Xen is made from Debian's packages: run on Debian, or in a Debian container")
	}
	return "", fault.New(fault.Input, fmt.Errorf("getting Xen: running %s: %w: %s", program, err, strings.TrimSpace(stderr.String())),
		"check the network, and that the machine's package sources offer Xen "+release)
}
