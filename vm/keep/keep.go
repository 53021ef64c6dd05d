// Package keep runs machines that outlive the command that started them.
//
// [Start] starts a keeper: this program once more, in a session of its own. The
// keeper starts the machine, notes its console, waits for its end and notes
// that too. Nothing else watches: there is no daemon.
//
// # State
//
// Each machine has a folder, whose name is its ID:
//
//	lock           held by the keeper as long as it lives
//	machine.json   what runs, written once the machine has started
//	console.log    what the guest wrote; console.1.log is what came before
//	end.json       how it ended, written by the keeper as its last act
//	scratch/       what the machine needs while it runs
//
// What is true of a machine follows from the lock and not from what a file
// says: a process that was killed holds none. Whoever holds the lock is the
// keeper that machine.json names, so no other process is ever taken for it. A
// killed keeper takes its machine with it (prctl(2), PR_SET_PDEATHSIG), and
// leaves a folder without end.json: a dead machine.
//
// Folders are made, and removed, under a lock of their parent, so that any
// number of users of one parent do not disturb each other. Those of machines
// that have ended stay for a day, for their logs.
package keep

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
)

// State is what is true of a machine.
type State string

// The states.
const (
	Starting State = "starting" // its keeper is about to start it
	Running  State = "running"
	Ended    State = "ended" // by itself, or by an order
	Dead     State = "dead"  // its keeper was killed, and so was it
)

// Machine is a machine and its state.
type Machine struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// Image is the absolute path of the disk, Target the target's name.
	Image  string `json:"image,omitempty"`
	Target string `json:"target,omitempty"`
	// Accel is how the guest is executed.
	Accel vm.Accel `json:"accel,omitempty"`
	// Ports are the forwarded ports, with those that were picked.
	Ports   []vm.Forward `json:"ports,omitempty"`
	Started time.Time    `json:"started,omitzero"`
	// Keeper and QEMU are process ids. They mean something only while the
	// machine runs.
	Keeper int `json:"keeper,omitempty"`
	QEMU   int `json:"qemu,omitempty"`
	// End is set for a machine that has ended.
	End *End `json:"end,omitempty"`

	dir string
}

// Spec says what to run.
type Spec struct {
	// Name is the stem of the ID.
	Name string
	// Target is the name of the target; it is only noted.
	Target string
	// Options of the machine. Its paths must be absolute; Console and Scratch
	// are the keeper's to set.
	Options vm.Options
}

// End is how a machine ended.
type End struct {
	At time.Time `json:"at"`
	vm.Exit
	// Error is the failure of the guest, or that it did not power off.
	Error string `json:"error,omitempty"`
}

// err returns the failure, nil without one.
func (e End) err() error {
	if e.Error == "" {
		return nil
	}
	return errors.New(e.Error)
}

// The names in the folder of a machine.
const (
	lockFile    = "lock"
	machineFile = "machine.json"
	endFile     = "end.json"
	scratchDir  = "scratch"
)

// keepFor is how long the folder of a machine stays after its end.
const keepFor = 24 * time.Hour

// List returns the machines of a folder, the first started first. It removes
// what dead ones left behind, and forgets those that ended a day ago.
func List(dir string) ([]Machine, error) {
	unlock, err := lockParent(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return sweep(dir)
}

// Find returns the machine with the ID.
func Find(dir, id string) (Machine, error) {
	list, err := List(dir)
	if err != nil {
		return Machine{}, err
	}
	i := slices.IndexFunc(list, func(m Machine) bool { return m.ID == id })
	if i < 0 {
		return Machine{}, fault.New(fault.Input, fmt.Errorf("there is no machine %q", id), "`imgbuild ps` lists the machines")
	}
	return list[i], nil
}

// sweep reads every machine and tidies. The parent is locked.
func sweep(dir string) ([]Machine, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("listing machines: %w", err))
	}
	var list []Machine
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		m, ended, err := read(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if m.State == Ended || m.State == Dead {
			err = os.RemoveAll(filepath.Join(m.dir, scratchDir))
			if time.Since(ended) > keepFor {
				err = os.RemoveAll(m.dir)
			}
			if err != nil {
				return nil, fault.New(fault.Environment, fmt.Errorf("tidying after %s: %w", m.ID, err))
			}
			if time.Since(ended) > keepFor {
				continue
			}
		}
		list = append(list, m)
	}
	slices.SortStableFunc(list, func(a, b Machine) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// read returns the machine of a folder, and when its files were last changed.
func read(dir string) (m Machine, changed time.Time, err error) {
	alive, err := locked(filepath.Join(dir, lockFile))
	if err != nil {
		return m, changed, err
	}
	err = readJSON(filepath.Join(dir, machineFile), &m)
	noted := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, changed, err
	}
	m.ID, m.dir = filepath.Base(dir), dir
	var end End
	switch err := readJSON(filepath.Join(dir, endFile), &end); {
	case err == nil:
		m.State, m.End = Ended, &end
	case !errors.Is(err, fs.ErrNotExist):
		return m, changed, err
	case !alive:
		m.State = Dead
	case noted:
		m.State = Running
	default:
		m.State = Starting
	}
	info, err := os.Stat(dir)
	if err != nil {
		return m, changed, fault.New(fault.Environment, fmt.Errorf("reading %s: %w", m.ID, err))
	}
	return m, info.ModTime(), nil
}

// Forget removes what is left of a machine that has ended.
func (m Machine) Forget() error {
	unlock, err := lockParent(filepath.Dir(m.dir))
	if err != nil {
		return err
	}
	defer unlock()
	if alive, err := locked(filepath.Join(m.dir, lockFile)); err != nil || alive {
		return errors.Join(err, fault.New(fault.Usage, fmt.Errorf("the machine %s has not ended", m.ID)))
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("forgetting %s: %w", m.ID, err))
	}
	return nil
}

// readJSON reads a file that its writer renamed into place. A file that is not
// there is fs.ErrNotExist.
func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return fault.New(fault.Environment, fmt.Errorf("reading the state of a machine: %w", err))
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("reading the state of a machine: %s: %w", path, err), "remove the folder "+filepath.Dir(path))
	}
	return nil
}
