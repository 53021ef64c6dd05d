package keep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/imgbuild/imgbuild/fault"
)

// order is what a keeper reads on its standard input.
type order struct {
	Dir  string // of all machines
	Spec Spec
}

// answer is what it writes on its standard output, once.
type answer struct {
	Machine *Machine   `json:"machine,omitempty"`
	Error   string     `json:"error,omitempty"`
	Kind    fault.Kind `json:"kind,omitempty"`
	Hints   []string   `json:"hints,omitempty"`
}

// Start starts a machine with a keeper and returns when it runs. Errors are
// those of [vm.Machine.Start]. When ctx ends before, the keeper is ended.
func Start(ctx context.Context, dir string, spec Spec) (Machine, error) {
	self, err := os.Executable()
	if err != nil {
		return Machine{}, fault.New(fault.Environment, fmt.Errorf("finding this program: %w", err))
	}
	text, err := json.Marshal(order{dir, spec})
	if err != nil {
		return Machine{}, fmt.Errorf("writing the order of a machine: %w", err)
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return Machine{}, fault.New(fault.Environment, fmt.Errorf("making a pipe: %w", err))
	}
	defer ours.Close()
	cmd := exec.Command(self, keeperArg)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(text), theirs
	// The keeper has neither this terminal nor this folder.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return Machine{}, fault.New(fault.Environment, fmt.Errorf("starting the keeper of a machine: %w", err))
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })()
	var a answer
	if err := json.NewDecoder(ours).Decode(&a); err != nil {
		err = errors.Join(err, cmd.Wait())
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Machine{}, fault.New(fault.Environment, fmt.Errorf("waiting for the keeper of a machine: %w", err))
	}
	if a.Machine == nil {
		_ = cmd.Wait() // it has said why it ends
		return Machine{}, fault.New(a.Kind, errors.New(a.Error), a.Hints...)
	}
	go func() { _ = cmd.Wait() }() // the keeper lives longer than this command, or is reaped
	return Find(dir, a.Machine.ID)
}
