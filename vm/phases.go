package vm

// Phase is a part of a boot: what went on between two moments, in seconds from
// the start of QEMU.
type Phase struct {
	Name  string  `json:"name"`
	Begin float64 `json:"begin"`
	End   float64 `json:"end"`
}

// The phases of a boot, in their order.
const (
	PhaseXen      = "xen"      // Xen and its dom0, until the guest is created
	PhaseFirmware = "firmware" // firmware, boot loader, and the kernel's unpacking of itself
	PhaseKernel   = "kernel"   // from the start of the kernel's clock to init
	PhaseInit     = "init"     // until the app is executed
	PhaseApp      = "app"      // until the app listens: for Java, JVM and app
	PhaseAnswer   = "answer"   // until a check has its first answer
)

// Phases returns the parts of the boot, as far as it came, without gaps. The
// border between firmware and kernel is known from inside: when init reports,
// the kernel's clock tells for how long it has run. Every other border is the
// moment at which a line, or an answer, came out of the guest. An app that
// listens on no port has no such border: its phase lasts until the answer.
func (t Timeline) Phases() []Phase {
	var list []Phase
	at := 0.0
	until := func(name string, m *Moment) {
		if m == nil || m.Wall < at {
			return
		}
		list = append(list, Phase{name, at, m.Wall})
		at = m.Wall
	}
	if t.Up == nil {
		return nil
	}
	until(PhaseXen, t.Created)
	until(PhaseFirmware, &Moment{Wall: max(0, t.Up.Wall-t.GuestUp)})
	until(PhaseKernel, t.Up)
	until(PhaseInit, t.Started)
	last := PhaseApp
	if t.Ready != nil {
		until(PhaseApp, t.Ready)
		last = PhaseAnswer
	}
	until(last, t.Answered)
	return list
}
