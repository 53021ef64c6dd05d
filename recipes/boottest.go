package recipes

// Check is one check of the booted appliance. Exactly one is set.
type Check struct {
	// HTTP gets a page.
	HTTP *HTTPCheck `yaml:"http,omitempty" json:"http,omitempty" check:"one"`
	// TCP connects, sends and expects.
	TCP *TCPCheck `yaml:"tcp,omitempty" json:"tcp,omitempty" check:"one"`
	// Console waits for a line on the console.
	Console *ConsoleCheck `yaml:"console,omitempty" json:"console,omitempty" check:"one"`
	// Exit means that the app must end by itself with this status.
	Exit *ExitCheck `yaml:"exit,omitempty" json:"exit,omitempty" check:"one"`
	// Listen means that the guest listens on these ports and on no other.
	Listen *ListenCheck `yaml:"listen,omitempty" json:"listen,omitempty" check:"one"`
	// Boot bounds how long the guest takes to boot, by its own clock.
	Boot *BootCheck `yaml:"boot,omitempty" json:"boot,omitempty" check:"one"`
	// Absent means that the disk holds no such file.
	Absent *AbsentCheck `yaml:"absent,omitempty" json:"absent,omitempty" check:"one"`
}

// HTTPCheck gets a page.
type HTTPCheck struct {
	// Port of the guest.
	Port int `yaml:"port" json:"port" jsonschema:"required" check:"port"`
	// Path of the page, with its query.
	Path string `yaml:"path,omitempty" json:"path,omitempty" jsonschema:"pattern=^/"`
	// Status that the answer must have.
	Status int `yaml:"status,omitempty" json:"status,omitempty" jsonschema:"minimum=100,maximum=599"`
	// Contains is text that the body must hold.
	Contains string `yaml:"contains,omitempty" json:"contains,omitempty"`
	// Within is how long the answer may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// TCPCheck connects, sends and expects.
type TCPCheck struct {
	// Port of the guest.
	Port int `yaml:"port" json:"port" jsonschema:"required" check:"port"`
	// Send is text to send once connected.
	Send string `yaml:"send,omitempty" json:"send,omitempty"`
	// Expect is a regular expression that the answer must match.
	Expect string `yaml:"expect,omitempty" json:"expect,omitempty" check:"regexp"`
	// Within is how long the answer may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// ConsoleCheck waits for a line on the console.
type ConsoleCheck struct {
	// Match is a regular expression that a line must match.
	Match string `yaml:"match" json:"match" jsonschema:"required" check:"regexp"`
	// Within is how long the line may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// ListenCheck means that the guest listens on these TCP ports, and from its
// start to its end on no other. The guest itself tells what it listens on; what
// can be reached by its loopback alone does not count.
type ListenCheck struct {
	// Ports that must be open, and may be; those of the app by default.
	Ports []int `yaml:"ports,omitempty" json:"ports,omitempty" check:"port"`
	// Within is how long the ports may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// BootCheck bounds how long the guest takes to boot, by its own clock, which
// begins with its kernel and does not know of a busy host's delays.
type BootCheck struct {
	// Until is the event that ends the boot: "up" (init runs), "started" (the
	// app is executed) or "listening" (it listens on a port).
	Until string `yaml:"until,omitempty" json:"until,omitempty" jsonschema:"enum=up,enum=started,enum=listening"`
	// AtMost is how much of the guest's time may have passed then.
	AtMost Duration `yaml:"atMost" json:"atMost" jsonschema:"required"`
	// Within is how long the event may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}

// AbsentCheck means that no filesystem on the disk holds such a file. The disk
// is read for it; nothing runs in the guest.
type AbsentCheck struct {
	// Path of the file or folder, or a pattern of such paths: * is any part
	// of a name, ** any folders. Each filesystem is seen from its own root.
	Path string `yaml:"path" json:"path" jsonschema:"required" check:"guest"`
}

// ExitCheck waits for the app's end.
type ExitCheck struct {
	// Status that the app must end with.
	Status int `yaml:"status" json:"status" jsonschema:"minimum=0,maximum=255"`
	// Within is how long the end may take, from the start of the guest.
	Within Duration `yaml:"within,omitempty" json:"within,omitempty"`
}
