package keep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
)

// keeperArg makes this program a keeper.
const keeperArg = "--imgbuild-machine-keeper"

// The orders to a keeper.
const (
	pressButton = syscall.SIGTERM
	pullPlug    = syscall.SIGINT
)

// HelperMain is a keeper if args, which are os.Args, ask for one. It returns
// true when main has nothing more to do. Call it first in main, and in TestMain
// of packages whose tests start machines.
func HelperMain(args []string) bool {
	if len(args) != 2 || args[1] != keeperArg {
		return false
	}
	var o order
	err := json.NewDecoder(os.Stdin).Decode(&o)
	if err == nil {
		err = keep(o)
	}
	if err != nil {
		reply(answer{Error: err.Error(), Kind: fault.KindOf(err), Hints: fault.HintsOf(err)})
		os.Exit(1)
	}
	return true
}

// reply answers the command that waits; it may have gone.
func reply(a answer) {
	_ = json.NewEncoder(os.Stdout).Encode(a)
	_ = os.Stdout.Close()
}

// keep is the life of a keeper. Its error is that of the start; what comes
// later is noted.
func keep(o order) (err error) {
	// An order may come before the machine runs.
	orders := make(chan os.Signal, 2)
	signal.Notify(orders, pressButton, pullPlug)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	if err := os.Chdir("/"); err != nil {
		return fault.New(fault.Environment, err)
	}
	m, lock, err := settle(o)
	if err != nil {
		return err
	}
	defer lock.Close()
	running := false
	defer func() {
		if !running {
			os.RemoveAll(m.dir) // nothing was started, and its error is told
		}
	}()
	log, err := openLog(m.dir)
	if err != nil {
		return err
	}
	defer log.Close()
	opts := o.Spec.Options
	opts.Console, opts.Scratch = log, filepath.Join(m.dir, scratchDir)
	machine, err := vm.New(opts)
	if err != nil {
		return err
	}
	var end End
	err = machine.Run(context.Background(), func(r *vm.Running) error {
		if err := m.note(r); err != nil {
			return err
		}
		if !running {
			running = true
			reply(answer{Machine: &m})
		}
		end = attend(r, orders)
		return end.err()
	})
	if !running {
		return err
	}
	if err != nil && end.Error == "" { // another boot did not begin
		end = End{At: time.Now(), Error: err.Error()}
	}
	return m.write(endFile, end)
}

// settle makes a folder for the machine and locks it.
func settle(o order) (Machine, *os.File, error) {
	unlock, err := lockParent(o.Dir)
	if err != nil {
		return Machine{}, nil, err
	}
	defer unlock()
	if _, err := sweep(o.Dir); err != nil {
		return Machine{}, nil, err
	}
	m := Machine{Image: o.Spec.Options.Disk, Target: o.Spec.Target}
	for n := 1; ; n++ {
		m.ID = o.Spec.Name + "-" + strconv.Itoa(n)
		m.dir = filepath.Join(o.Dir, m.ID)
		err := os.Mkdir(m.dir, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return Machine{}, nil, fault.New(fault.Environment, fmt.Errorf("making a folder for the machine: %w", err))
		}
		break
	}
	lock, err := lockFor(filepath.Join(m.dir, lockFile))
	if err == nil {
		err = os.Mkdir(filepath.Join(m.dir, scratchDir), 0o700)
	}
	return m, lock, err
}

// note notes what is known of a machine that was started.
func (m *Machine) note(r *vm.Running) error {
	m.State, m.Started, m.Keeper, m.QEMU, m.Ports = Running, time.Now(), os.Getpid(), r.Pid(), r.Ports()
	m.Accel, _ = r.Accel()
	return m.write(machineFile, m)
}

// attend waits for the end of a machine, and brings it about when ordered to.
// However often the button is pressed, the guest has its time to stop.
func attend(r *vm.Running, orders <-chan os.Signal) End {
	ctx, pull := context.WithCancelCause(context.Background())
	defer pull(nil)
	defer pull(nil)
	var stopping chan error
	var stopped error
	pulled := false
	done := r.Done()
	for ended := false; !ended; {
		select {
		case <-done:
			done = nil // an order that was given has its own outcome yet
			ended = stopping == nil
		case stopped = <-stopping:
			r.Kill()
			ended = true
		case order := <-orders:
			if order == pullPlug {
				pulled = true
				pull(errors.New("the plug was pulled"))
			}
			if stopping == nil {
				stopping = make(chan error, 1)
				go func() { stopping <- r.Stop(ctx) }()
			}
		}
	}
	exit, err := r.Wait(context.Background())
	end := End{At: time.Now(), Exit: exit}
	if pulled {
		stopped = nil // that is what was asked for
	}
	if err := errors.Join(err, stopped); err != nil {
		end.Error = err.Error()
	}
	return end
}

// write puts a file into the machine's folder, whole or not at all.
func (m Machine) write(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("noting a machine: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(m.dir, name), append(text, '\n'), 0o600); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("noting a machine: %w", err))
	}
	return nil
}
