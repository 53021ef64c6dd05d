// Package config is the contract between the builder and PID 1 of the guest:
// the file that tells init what to do, and the lines it prints on the console.
//
// The package is compiled into the guest: it imports only what is small.
package config

// Path is where the file stands in the guest.
const Path = "/etc/imgbuild/guest.json"

// Console lines of init begin with this prefix. The words behind it are part
// of the contract: tests and `imgbuild run` read them.
const (
	Prefix      = "imgbuild: "
	LineUp      = "up"      // imgbuild: up 0.912           seconds since the kernel's clock began
	LineNetwork = "network" // imgbuild: network eth0 10.0.2.15/24
	LineStarted = "started" // imgbuild: started pid 87 at 0.934
	// How many properties were found, and where; or "properties none". The line
	// is there only when the appliance asks for properties.
	LineProperties = "properties" // imgbuild: properties 3 on sr0

	// The data filesystem was made, at the first boot: "data made on vdb".
	LineData = "data"

	// The TCP ports that the guest listens on, other than on its loopback. The
	// line comes whenever there are new ones.
	LineListening = "listening" // imgbuild: listening 8080 9990 at 1.934

	LineExited   = "exited"   // imgbuild: exited status 3   (or: exited signal 9)
	LineStopping = "stopping" // imgbuild: stopping power button
	LinePoweroff = "poweroff" // imgbuild: poweroff          also: reboot, halt
	LineFailed   = "failed"   // imgbuild: failed mounting /data: …
	// Between exited and the next started; and what is wrong but not fatal.
	LineRestarting = "restarting" // imgbuild: restarting in 500ms
	LineWarning    = "warning"    // imgbuild: warning setting sysctl …
)

// Guest is the whole file.
type Guest struct {
	Hostname string            `json:"hostname"`
	Timezone string            `json:"timezone,omitempty"` // TZ for the app; "UTC" by default
	App      App               `json:"app"`
	Mounts   []Mount           `json:"mounts,omitempty"`
	Network  Network           `json:"network"`
	Sysctl   map[string]string `json:"sysctl,omitempty"` // "vm.overcommit_memory": "1"
	// Properties are asked for when the appliance is installed. Without any,
	// init does not look for answers.
	Properties []Property `json:"properties,omitempty"`

	// Restart is "never", "on-failure" or "always". MaxRestarts bounds the
	// restarts within ten minutes; 0 means no bound.
	Restart     string `json:"restart"`
	MaxRestarts int    `json:"maxRestarts,omitempty"`
	// OnExit is what happens when the app has ended for good: "poweroff",
	// "reboot" or "halt" (stay, for a look at the console).
	OnExit string `json:"onExit"`
	// StopTimeout is how long the app may take after SIGTERM, in seconds.
	StopTimeout int `json:"stopTimeout"`
}

// App is the one program of the appliance.
type App struct {
	Command []string `json:"command"` // absolute path first
	Env     []string `json:"env,omitempty"`
	Dir     string   `json:"dir"`
	UID     int      `json:"uid"`
	GID     int      `json:"gid"`
}

// SeedPath is where the seed of the data filesystem stands, when the data have a
// disk of their own.
const SeedPath = "/etc/imgbuild/data.seed"

// PropertiesPath is where the guest's whole OVF environment stands, for the
// app's eyes only, when there is one.
const PropertiesPath = "/run/ovf-env.xml"

// Property is a value that whoever installs the appliance may give, and where
// init puts it. App has the default value in its place already; what is given
// takes that place, be it empty.
type Property struct {
	Key string `json:"key"`
	// Value is the default.
	Value string `json:"value,omitempty"`
	// Env is the variable of the app's environment that has the value, and
	// SystemProperty the JVM's property: the app is a JVM then.
	Env            string `json:"env,omitempty"`
	SystemProperty string `json:"systemProperty,omitempty"`
	// Network is what the value says of the network: one of the words below.
	// An empty value leaves that as it is.
	Network string `json:"network,omitempty"`
}

// The words of [Property.Network]. An address makes the network a static one;
// it has the length of its prefix, or a netmask beside it.
const (
	NetworkAddress  = "address"
	NetworkNetmask  = "netmask"
	NetworkGateway  = "gateway"
	NetworkDNS      = "dns" // one address or more, with commas or spaces between
	NetworkHostname = "hostname"
)

// Mount is a filesystem beyond the root and the kernel's own.
type Mount struct {
	// Source is "tmpfs", "PARTUUID=…" of a partition on any disk, or "disk": one
	// of its own, found by the filesystem that Seed is of.
	Source   string `json:"source"`
	Path     string `json:"path"`
	Type     string `json:"type"`           // "tmpfs", "ext4"
	Size     int64  `json:"size,omitempty"` // bytes; tmpfs only
	Mode     uint32 `json:"mode,omitempty"` // of the mounted root, e.g. 0755
	UID      int    `json:"uid,omitempty"`  // owner of the mounted root
	GID      int    `json:"gid,omitempty"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	// Grow makes the partition and its ext4 filesystem fill the disk at boot,
	// when they are the last on it and somebody made the disk larger.
	Grow bool `json:"grow,omitempty"`
	// Seed is the path of what the filesystem is made from when no disk has it
	// and one is blank: package seed.
	Seed string `json:"seed,omitempty"`
}

// Network says how the first Ethernet device gets its address.
type Network struct {
	Mode    string   `json:"mode"`              // "dhcp", "static", "none"
	Address string   `json:"address,omitempty"` // CIDR
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
}

// Initramfs is the file /initramfs.json of a packaged kernel's initramfs: the
// modules to load, in order, before the root can be mounted. The root is named
// on the kernel command line as usual.
type Initramfs struct {
	Modules []string `json:"modules"` // paths inside the initramfs
}

// InitramfsPath is where that file stands.
const InitramfsPath = "/initramfs.json"

// RAM is the file of an initramfs that is the whole root: the guest has no disk.
type RAM struct {
	// Time is when every file was changed last, in seconds since 1970. Kernels
	// may forget it, and a JVM's class archive is for files of that time.
	Time int64 `json:"time"`
}

// RAMPath is where that file stands.
const RAMPath = "/etc/imgbuild/ram.json"
