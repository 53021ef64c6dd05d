package vm

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// Moment is when something happened, counted from the start of QEMU.
type Moment struct {
	// Wall is the time that passed, in seconds.
	Wall float64 `json:"wall"`
	// CPU is the processor time that QEMU had used by then, in seconds. It
	// is the steadier measure on a busy host; 0 when the system cannot tell.
	CPU float64 `json:"cpu"`
}

// Timeline is the story of a boot. Moments that did not come are nil.
type Timeline struct {
	Created   *Moment `json:"created,omitempty"`   // by Xen, whose own start comes before
	FirstByte *Moment `json:"firstByte,omitempty"` // on the console
	Up        *Moment `json:"up,omitempty"`        // init runs
	Network   *Moment `json:"network,omitempty"`   // the first device has an address
	Started   *Moment `json:"started,omitempty"`   // the app was started
	Ready     *Moment `json:"ready,omitempty"`     // the app listens
	Answered  *Moment `json:"answered,omitempty"`  // a check had its answer
	Exited    *Moment `json:"exited,omitempty"`    // the app ended
	Stopping  *Moment `json:"stopping,omitempty"`  // init stops the app
	Off       *Moment `json:"off,omitempty"`       // init ends the guest

	// GuestUp, GuestStarted and GuestReady are what the guest's own clock
	// said, in seconds since its kernel began.
	GuestUp      float64 `json:"guestUp,omitempty"`
	GuestStarted float64 `json:"guestStarted,omitempty"`
	GuestReady   float64 `json:"guestReady,omitempty"`
	// Dom0Created is what the clock of Xen's dom0 said at Created, in seconds.
	Dom0Created float64 `json:"dom0Created,omitempty"`
}

// Dom0 returns what the clock of Xen's dom0 said at a moment, in seconds; false
// when there is no such clock.
func (t Timeline) Dom0(m *Moment) (float64, bool) {
	if m == nil || t.Created == nil {
		return 0, false
	}
	return t.Dom0Created + m.Wall - t.Created.Wall, true
}

// Status is how the app ended.
type Status struct {
	Code   int `json:"code"`             // when Signal is 0
	Signal int `json:"signal,omitempty"` // that ended it
}

// OK reports whether the app ended by itself and without complaint.
func (s Status) OK() bool { return s.Code == 0 && s.Signal == 0 }

// String is the contract's own wording: "status 3", "signal 9".
func (s Status) String() string {
	if s.Signal != 0 {
		return "signal " + strconv.Itoa(s.Signal)
	}
	return "status " + strconv.Itoa(s.Code)
}

// story follows the console of a machine. It is used by one goroutine.
type story struct {
	timeline Timeline
	status   *Status // how the app ended last
	failure  string  // why nothing more is to be expected of the guest
	dead     bool    // the failure is none that the guest ends by itself
	halted   bool    // the guest stays, for a look at its console
	ports    []int   // every TCP port that the guest was seen to listen on
}

// see takes a line of the console.
func (s *story) see(text string, at Moment) {
	if reason := failureOf(text); reason != "" {
		s.fail(reason, true)
	}
	word, rest, ok := s.contract(text)
	if !ok {
		return
	}
	t := &s.timeline
	switch word {
	case config.LineUp:
		first(&t.Up, at)
		t.GuestUp = seconds(rest)
	case config.LineNetwork:
		first(&t.Network, at)
	case config.LineStarted:
		first(&t.Started, at)
		if _, clock, found := strings.Cut(rest, " at "); found && t.GuestStarted == 0 {
			t.GuestStarted = seconds(clock)
		}
	case config.LineListening:
		s.listening(rest, at)
	case config.LineExited:
		t.Exited = &at
		s.status = status(rest)
	case config.LineStopping:
		first(&t.Stopping, at)
	case config.LinePoweroff, "reboot", "halt":
		first(&t.Off, at)
		s.halted = word == "halt"
	case config.LineFailed:
		s.fail("init failed "+rest, false)
	}
}

// fail notes the first reason, and whether the guest is beyond ending itself.
func (s *story) fail(reason string, dead bool) {
	if s.failure == "" {
		s.failure = reason
	}
	s.dead = s.dead || dead
}

// ending are init's last lines. An app may have left its own last line unended
// before them, so they may stand anywhere.
var ending = regexp.MustCompile(config.Prefix +
	`(?:(exited) ((?:status|signal) \d+)|(stopping) (.*)|(poweroff|reboot|halt)())$`)

// contract takes init's line apart. Before init's first line a boot loader may
// have left its own unended, so there the prefix may stand anywhere; later an
// app that quotes it is not taken for init.
func (s *story) contract(text string) (word, rest string, ok bool) {
	if m := ending.FindStringSubmatch(text); m != nil {
		return m[1] + m[3] + m[5], m[2] + m[4], true
	}
	before, after, found := strings.Cut(text, config.Prefix)
	if !found || (before != "" && s.timeline.Up != nil) {
		return "", "", false
	}
	word, rest, _ = strings.Cut(strings.TrimSpace(after), " ")
	return word, rest, true
}

// first notes a moment that has not come before.
func first(m **Moment, at Moment) {
	if *m == nil {
		*m = &at
	}
}

func seconds(s string) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0
	}
	return f
}

// status reads "status 3" or "signal 9"; nil when it is neither.
func status(s string) *Status {
	kind, number, _ := strings.Cut(s, " ")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return nil
	case kind == "status":
		return &Status{Code: n}
	case kind == "signal":
		return &Status{Signal: n}
	}
	return nil
}

// fatal are the lines after which nothing else comes: the kernel's (behind an
// optional time stamp), its EFI stub's, which a guest with too little memory
// shows, and OVMF's.
var fatal = regexp.MustCompile(`^(?:\[ *\d+\.\d+\] ?(?:\[ *[TC]\d+\] ?)?)?` +
	`(Kernel panic - not syncing.*|VFS: Cannot open root device.*)` +
	`|^(EFI stub: ERROR: .*|BdsDxe: No bootable option or device was found.*)`)

// failureOf returns what a console line tells of the machine's end, or "".
func failureOf(text string) string {
	m := fatal.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(m[1] + m[2])
}
