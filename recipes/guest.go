package recipes

// Guest is the virtual machine that the appliance expects, and how it behaves.
type Guest struct {
	// Memory of the machine.
	Memory Size `yaml:"memory,omitempty" json:"memory,omitempty"`
	// CPUs of the machine.
	CPUs int `yaml:"cpus,omitempty" json:"cpus,omitempty" jsonschema:"minimum=1,maximum=64"`
	// Hostname of the guest; the recipe's name by default.
	Hostname string `yaml:"hostname,omitempty" json:"hostname,omitempty" jsonschema:"pattern=^[A-Za-z0-9]([A-Za-z0-9.-]{0\\,61}[A-Za-z0-9])?$"`
	// Timezone of the app, such as Europe/Vienna.
	Timezone string `yaml:"timezone,omitempty" json:"timezone,omitempty" jsonschema:"pattern=^[A-Za-z0-9_+/-]+$"`
	// Restart is "never", "on-failure" or "always".
	Restart string `yaml:"restart,omitempty" json:"restart,omitempty" jsonschema:"enum=never,enum=on-failure,enum=always"`
	// MaxRestarts within ten minutes; 0 means no bound.
	MaxRestarts int `yaml:"maxRestarts,omitempty" json:"maxRestarts,omitempty" jsonschema:"minimum=0,maximum=1000"`
	// OnExit is "poweroff", "reboot" or "halt".
	OnExit string `yaml:"onExit,omitempty" json:"onExit,omitempty" jsonschema:"enum=poweroff,enum=reboot,enum=halt"`
	// StopTimeout is how long the app may take to stop.
	StopTimeout Duration `yaml:"stopTimeout,omitempty" json:"stopTimeout,omitempty"`
	// Tmpfs are writable folders in memory.
	Tmpfs []Tmpfs `yaml:"tmpfs,omitempty" json:"tmpfs,omitempty"`
	// Isolation is "standard" or "strict": memory is zeroed when it is given
	// out and when it is freed, so that none of it outlives its use or leaves
	// the machine; docs/kernel.md tells the cost.
	Isolation string `yaml:"isolation,omitempty" json:"isolation,omitempty" jsonschema:"enum=standard,enum=strict"`
	// Sysctl are kernel settings made at boot.
	Sysctl map[string]string `yaml:"sysctl,omitempty" json:"sysctl,omitempty"`
}

// Tmpfs is a writable folder in memory, owned by the app's user.
type Tmpfs struct {
	// Path in the guest.
	Path string `yaml:"path" json:"path" jsonschema:"required" check:"guest"`
	// Size at most; automatic by default.
	Size Size `yaml:"size,omitempty" json:"size,omitempty"`
}

// Network says how the guest gets its address.
type Network struct {
	// Mode is "dhcp", "static" or "none".
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"enum=dhcp,enum=static,enum=none"`
	// Address with the length of its prefix, for mode static: 10.0.0.5/24.
	Address string `yaml:"address,omitempty" json:"address,omitempty" check:"prefix"`
	// Gateway is the address of the router, for mode static.
	Gateway string `yaml:"gateway,omitempty" json:"gateway,omitempty" check:"ip"`
	// DNS are the addresses of name servers, for mode static.
	DNS []string `yaml:"dns,omitempty" json:"dns,omitempty" check:"ip"`
}
