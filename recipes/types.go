// Package recipes reads recipes: the declarative YAML files that say what an
// appliance is made of.
//
// [Parse] turns bytes into a [Recipe], strictly: an unknown key, a wrong type
// or a duplicate is an error with its position, an excerpt and a hint, and all
// errors come at once. [Resolve] applies includes, variables and overrides,
// fills in every default, and records where each value came from;
// [WriteResolved] prints the result. [Lock] is the file beside the recipe that
// pins every input by digest. [Starter], [Builtin] and [Schema] help people to
// write recipes.
//
// The rules for each key stand in the tags of its field, and the JSON Schema
// and docs/recipe.md are made from the types and their comments: to add a key,
// add a field, its default in fill, and run go generate.
//
// Keys that begin with "x-" are allowed everywhere and ignored. Relative paths
// are relative to the file they are written in.
//
// The package is a leaf: it imports nothing that touches a network or a store.
package recipes

// APIVersion is the version of the recipe format that this package reads.
const APIVersion = "imgbuild/v1"

// Recipe is the root of a recipe file.
type Recipe struct {
	// APIVersion is "imgbuild/v1".
	APIVersion string `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=imgbuild/v1"`
	// Name of the appliance, and the stem of the files that are made.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9][a-z0-9._-]{0\\,62}$"`
	// Version of the appliance.
	Version string `yaml:"version,omitempty" json:"version,omitempty" jsonschema:"pattern=^[A-Za-z0-9][A-Za-z0-9._+~-]{0\\,62}$"`
	// Description is one sentence for people.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Vendor of the appliance, as appliance descriptors show it.
	Vendor string `yaml:"vendor,omitempty" json:"vendor,omitempty"`
	// Platform is the operating system and processor: linux/amd64.
	Platform string `yaml:"platform,omitempty" json:"platform,omitempty" jsonschema:"enum=linux/amd64"`

	// Include names other recipe files; values here override theirs.
	Include []string `yaml:"include,omitempty" json:"include,omitempty" check:"file"`
	// Vars are text values that ${name} refers to in any string.
	Vars map[string]string `yaml:"vars,omitempty" json:"vars,omitempty"`

	// Sources says where packages come from.
	Sources Sources `yaml:"sources,omitempty" json:"sources,omitzero"`
	// Kernel says where the kernel comes from.
	Kernel Kernel `yaml:"kernel,omitempty" json:"kernel,omitzero"`
	// Runtime says what the app runs on.
	Runtime Runtime `yaml:"runtime" json:"runtime" jsonschema:"required"`
	// App is the program of the appliance.
	App App `yaml:"app" json:"app" jsonschema:"required"`
	// Files are put into the tree beside the app.
	Files []File `yaml:"files,omitempty" json:"files,omitempty"`
	// Guest is the virtual machine, and how it behaves.
	Guest Guest `yaml:"guest,omitempty" json:"guest,omitzero"`
	// Network says how the guest gets its address.
	Network Network `yaml:"network,omitempty" json:"network,omitzero"`
	// Disk is the layout of the disk.
	Disk Disk `yaml:"disk,omitempty" json:"disk,omitzero"`
	// Sanitize says how strict the gate is.
	Sanitize Sanitize `yaml:"sanitize,omitempty" json:"sanitize,omitzero"`
	// Test are the checks that `imgbuild test` makes of the booted appliance.
	Test []Check `yaml:"test,omitempty" json:"test,omitempty"`
	// Targets are the machines that the kernel must serve: a build ends when it
	// lacks what one of them needs.
	Targets []string `yaml:"targets,omitempty" json:"targets,omitempty" jsonschema:"minItems=1,enum=bios,enum=uefi,enum=direct,enum=pvh,enum=microvm,enum=virtio-legacy,enum=ec2,enum=vmware,enum=vmware-lsi,enum=virtualbox,enum=ide,enum=hyper-v,enum=xen-hvm,enum=xen-pvh,enum=xen-pv,enum=xen-pvh-direct,enum=xen-pv-direct"`
	// Budgets are bounds that end a build when they are broken.
	Budgets Budgets `yaml:"budgets,omitempty" json:"budgets,omitzero"`
	// OVF is what OVF packages (the outputs ova and ovf) tell and ask.
	OVF OVF `yaml:"ovf,omitempty" json:"ovf,omitzero"`
	// Outputs are the formats to write.
	Outputs []Output `yaml:"outputs,omitempty" json:"outputs,omitempty" jsonschema:"minItems=1"`
}

// Sources says where packages come from.
type Sources struct {
	// Apt are the sources of Debian packages.
	Apt Apt `yaml:"apt,omitempty" json:"apt,omitzero"`
}

// Apt are the sources of Debian packages. When empty, the sources of the
// machine that builds are used.
type Apt struct {
	// List is the path of a sources.list, or of a deb822 .sources file.
	List string `yaml:"list,omitempty" json:"list,omitempty" check:"file"`
	// Keyring is the path of the keyring that signs them.
	Keyring string `yaml:"keyring,omitempty" json:"keyring,omitempty" check:"file"`
}

// Kernel says where the kernel comes from. Exactly one of Universal, Package,
// RPM and File is set.
type Kernel struct {
	// Universal is the kernel built from source, with every supported
	// hypervisor's drivers built in. The default.
	Universal *UniversalKernel `yaml:"universal,omitempty" json:"universal,omitempty" check:"maybe"`
	// Package is a distribution's kernel package: linux-image-cloud-amd64.
	Package string `yaml:"package,omitempty" json:"package,omitempty" jsonschema:"pattern=^[a-z0-9][a-z0-9+.-]+$" check:"maybe"`
	// RPM are the paths of the .rpm packages that hold one kernel and its
	// modules, of Oracle or Red Hat: kernel-uek-core and kernel-uek-modules.
	RPM []string `yaml:"rpm,omitempty" json:"rpm,omitempty" jsonschema:"minItems=1" check:"maybe,file"`
	// File is the path of a bzImage, with all drivers built in; or of an ELF,
	// when none of the targets needs a bzImage.
	File string `yaml:"file,omitempty" json:"file,omitempty" check:"maybe,file"`
	// Cmdline is added to the kernel command line.
	Cmdline []string `yaml:"cmdline,omitempty" json:"cmdline,omitempty"`
}

// UniversalKernel selects the source of the universal kernel.
type UniversalKernel struct {
	// Series of the kernel, "6.12" or "6.1".
	Series string `yaml:"series,omitempty" json:"series,omitempty" jsonschema:"enum=6.12,enum=6.1"`
	// Config are the paths of further configuration fragments.
	Config []string `yaml:"config,omitempty" json:"config,omitempty" check:"file"`
}

// Runtime says what the app runs on. Exactly one of JVM, OCI and None is set;
// "runtime: none" is for a static binary.
type Runtime struct {
	// JVM is a Java runtime, trimmed to the app.
	JVM *JVM `yaml:"jvm,omitempty" json:"jvm,omitempty" check:"one"`
	// OCI is a container image with a runtime in it.
	OCI *OCIRuntime `yaml:"oci,omitempty" json:"oci,omitempty" check:"one"`
	// None is for a static binary; it is written "runtime: none".
	None bool `yaml:"none,omitempty" json:"none,omitempty" check:"one"`
}

// JVM is a Java runtime, trimmed to the app.
type JVM struct {
	// JDK says where the Java development kit comes from.
	JDK JDK `yaml:"jdk,omitempty" json:"jdk,omitzero"`
	// Modules of the JDK to keep: "auto" asks jdeps; or a list.
	Modules Modules `yaml:"modules,omitempty" json:"modules,omitzero"`
	// AddModules are kept beside those that jdeps finds.
	AddModules []string `yaml:"addModules,omitempty" json:"addModules,omitempty"`
	// CDS is class data sharing: classes parsed at build time.
	CDS CDS `yaml:"cds,omitempty" json:"cds,omitzero"`
	// Profile is "balanced", "fast-start" or "throughput".
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty" jsonschema:"enum=balanced,enum=fast-start,enum=throughput"`
	// Options are further options for the JVM.
	Options []string `yaml:"options,omitempty" json:"options,omitempty"`
	// JNI are globs of further shared libraries that the app loads by name,
	// as paths in the packages of the JDK.
	JNI []string `yaml:"jni,omitempty" json:"jni,omitempty"`
	// TrustStore says which certificate authorities are trusted: "system"
	// (those of the ca-certificates package) or "none".
	TrustStore string `yaml:"trustStore,omitempty" json:"trustStore,omitempty" jsonschema:"enum=system,enum=none"`
}

// JDK says where the Java development kit comes from. Exactly one is set; the
// default is Package.
type JDK struct {
	// Package is a Debian package: openjdk-17-jdk-headless.
	Package string `yaml:"package,omitempty" json:"package,omitempty" jsonschema:"pattern=^[a-z0-9][a-z0-9+.-]+$" check:"maybe"`
	// Path is a folder on this machine that holds a JDK with jmods.
	Path string `yaml:"path,omitempty" json:"path,omitempty" check:"maybe,dir"`
	// OCI is an image that holds a JDK.
	OCI string `yaml:"oci,omitempty" json:"oci,omitempty" check:"maybe,image"`
}

// CDS is class data sharing: classes parsed at build time.
type CDS struct {
	// Mode is "app" (the classes that a training run loads), "default" (the
	// JDK's own list) or "off".
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"enum=app,enum=default,enum=off"`
	// Train is how the app is exercised, for mode app.
	Train Train `yaml:"train,omitempty" json:"train,omitzero"`
}

// Train is how the app is exercised for class data sharing. It runs in a
// sandbox without a network but for the loopback.
type Train struct {
	// HTTP is a URL on the loopback to get once the app answers. A page with
	// an error's status is no answer; with expect, one from 400 to 499 may be.
	HTTP string `yaml:"http,omitempty" json:"http,omitempty" jsonschema:"pattern=^http://(127\\.0\\.0\\.1|localhost)(:[0-9]{1\\,5})?(/.*)?$" check:"maybe"`
	// TCP is a port to connect to on the loopback.
	TCP int `yaml:"tcp,omitempty" json:"tcp,omitempty" check:"maybe,port"`
	// Send is a line to send to the TCP port.
	Send string `yaml:"send,omitempty" json:"send,omitempty"`
	// Expect is a regular expression that the page, or what the TCP port
	// answers, must match; the app is asked again until it does.
	Expect string `yaml:"expect,omitempty" json:"expect,omitempty" check:"regexp"`
	// Exit means that the app ends by itself.
	Exit bool `yaml:"exit,omitempty" json:"exit,omitempty" check:"maybe"`
	// Timeout for the whole training run.
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`
}

// OCIRuntime is a container image with a runtime in it.
type OCIRuntime struct {
	// Image is a reference: a registry's name:tag or name@digest,
	// oci:FOLDER[:TAG] for an OCI layout, or archive:FILE for an archive
	// made by docker save.
	Image string `yaml:"image" json:"image" jsonschema:"required" check:"image"`
	// PlainHTTP allows a registry without TLS.
	PlainHTTP bool `yaml:"plainHTTP,omitempty" json:"plainHTTP,omitempty"`
}

// App is the program of the appliance.
type App struct {
	// Jar is the path of an executable jar.
	Jar string `yaml:"jar,omitempty" json:"jar,omitempty" check:"file"`
	// ClassPath are jars, folders and globs; with Packages, absolute paths
	// are those inside the packages.
	ClassPath []string `yaml:"classPath,omitempty" json:"classPath,omitempty" check:"classpath"`
	// Main is the main class; a jar's own by default.
	Main string `yaml:"main,omitempty" json:"main,omitempty"`
	// Binary is the path of a static program, for runtime none.
	Binary string `yaml:"binary,omitempty" json:"binary,omitempty" check:"file"`
	// Command is the whole command, for runtime oci; the image's by default.
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	// Packages are Debian packages from which files are taken.
	Packages []PackageFiles `yaml:"packages,omitempty" json:"packages,omitempty"`
	// Missing are patterns of classes that the class path refers to and does
	// not hold, known not to be used: org.example.Optional, org.example.*.
	Missing []string `yaml:"missing,omitempty" json:"missing,omitempty"`
	// Args are the arguments of the app.
	Args []string `yaml:"args,omitempty" json:"args,omitempty"`
	// Env are the variables of the app's environment.
	Env map[string]string `yaml:"env,omitempty" json:"env,omitempty"`
	// WorkDir is the app's working directory.
	WorkDir string `yaml:"workDir,omitempty" json:"workDir,omitempty" check:"guest"`
	// User is the name of the unprivileged user that runs the app.
	User string `yaml:"user,omitempty" json:"user,omitempty" jsonschema:"pattern=^[a-z_][a-z0-9_-]{0\\,31}$"`
	// UID is the number of that user.
	UID int `yaml:"uid,omitempty" json:"uid" jsonschema:"minimum=0,maximum=2147483647"`
	// GID is the number of the user's group.
	GID int `yaml:"gid,omitempty" json:"gid" jsonschema:"minimum=0,maximum=2147483647"`
	// Ports are the TCP ports that the app listens on.
	Ports []int `yaml:"ports,omitempty" json:"ports,omitempty" check:"port"`
}

// PackageFiles takes files from a Debian package and what it depends on.
type PackageFiles struct {
	// Name of the package.
	Name string `yaml:"name" json:"name" jsonschema:"required,pattern=^[a-z0-9][a-z0-9+.-]+$"`
	// Paths are globs of the files to take, as absolute paths; ** matches
	// folders. Links are followed within the packages.
	Paths []string `yaml:"paths,omitempty" json:"paths,omitempty" check:"guest"`
	// Alone takes this package without those that it depends on.
	Alone bool `yaml:"alone,omitempty" json:"alone,omitempty"`
}

// File is a file, folder or link that is put into the tree. Exactly one of
// Content, Source, Link and Dir is set.
type File struct {
	// Path in the guest.
	Path string `yaml:"path" json:"path" jsonschema:"required" check:"guest"`
	// Content is the text of the file.
	Content string `yaml:"content,omitempty" json:"content,omitempty" check:"one"`
	// Source is a file or folder to copy.
	Source string `yaml:"source,omitempty" json:"source,omitempty" check:"one,local"`
	// Link is the target of a symbolic link.
	Link string `yaml:"link,omitempty" json:"link,omitempty" check:"one"`
	// Dir makes an empty folder.
	Dir bool `yaml:"dir,omitempty" json:"dir,omitempty" check:"one"`
	// Mode in octal, as text: "0644".
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"pattern=^0?[0-7]{3\\,4}$"`
	// UID is the number of the owner.
	UID int `yaml:"uid,omitempty" json:"uid,omitempty" jsonschema:"minimum=0,maximum=2147483647"`
	// GID is the number of the group.
	GID int `yaml:"gid,omitempty" json:"gid,omitempty" jsonschema:"minimum=0,maximum=2147483647"`
}

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

// Disk is the layout of the disk.
type Disk struct {
	// Root is the read-only root.
	Root RootFS `yaml:"root,omitempty" json:"root,omitzero"`
	// Data is an optional writable partition.
	Data *DataFS `yaml:"data,omitempty" json:"data,omitempty"`
	// Boot is the boot partition's size; automatic by default.
	Boot BootFS `yaml:"boot,omitempty" json:"boot,omitzero"`
}

// RootFS is the read-only root.
type RootFS struct {
	// Filesystem is "erofs", "squashfs" or "ext4".
	Filesystem string `yaml:"filesystem,omitempty" json:"filesystem,omitempty" jsonschema:"enum=erofs,enum=squashfs,enum=ext4"`
	// Compression of erofs ("lz4", "lz4hc", "none") or squashfs ("zstd",
	// "gzip", "lz4").
	Compression string `yaml:"compression,omitempty" json:"compression,omitempty"`
	// Size of the partition; automatic by default.
	Size Size `yaml:"size,omitempty" json:"size,omitempty"`
}

// DataFS is the writable data partition.
type DataFS struct {
	// Filesystem is "ext4".
	Filesystem string `yaml:"filesystem,omitempty" json:"filesystem,omitempty" jsonschema:"enum=ext4"`
	// Size of the partition.
	Size Size `yaml:"size" json:"size" jsonschema:"required"`
	// Mount is where it is mounted in the guest; it belongs to the app's user.
	Mount string `yaml:"mount" json:"mount" jsonschema:"required" check:"guest"`
}

// BootFS is the boot partition.
type BootFS struct {
	// Size of the partition; automatic by default.
	Size Size `yaml:"size,omitempty" json:"size,omitempty"`
}

// Sanitize says how strict the gate is.
type Sanitize struct {
	// Policy is "default", "public" or "none". Under all but "none" a build
	// fails when a byte has no owner, or when the audit of the scrubbed disk
	// finds what the policy forbids: docs/audit.md.
	Policy string `yaml:"policy,omitempty" json:"policy,omitempty" jsonschema:"enum=default,enum=public,enum=none"`
	// Allow lets findings of the audit pass.
	Allow []Allowance `yaml:"allow,omitempty" json:"allow,omitempty"`
}

// Allowance lets a finding of the audit pass.
type Allowance struct {
	// Rule is the identifier of the rule that may be broken.
	Rule string `yaml:"rule" json:"rule" jsonschema:"required"`
	// Path is a pattern of the file's path in the guest: "*" in a name, "**"
	// across folders. Without it the rule may be broken everywhere.
	Path string `yaml:"path,omitempty" json:"path,omitempty"`
	// Reason says why.
	Reason string `yaml:"reason" json:"reason" jsonschema:"required"`
}

// Budgets are bounds that end a build when they are broken, with exit code 6.
type Budgets struct {
	// KernelSize is the size of the kernel file at most.
	KernelSize Size `yaml:"kernelSize,omitempty" json:"kernelSize,omitempty"`
	// RootSize is the size of the root filesystem at most.
	RootSize Size `yaml:"rootSize,omitempty" json:"rootSize,omitempty"`
	// DiskSize is the size of the whole disk at most.
	DiskSize Size `yaml:"diskSize,omitempty" json:"diskSize,omitempty"`
	// OutputSize is the size of each file of the outputs at most.
	OutputSize Size `yaml:"outputSize,omitempty" json:"outputSize,omitempty"`
	// GuestMemory is what guest.memory may ask for at most.
	GuestMemory Size `yaml:"guestMemory,omitempty" json:"guestMemory,omitempty"`
	// KernelSymbols are values that the kernel's configuration must have, by
	// symbol without CONFIG_: y, n, m, a number or a text.
	KernelSymbols map[string]string `yaml:"kernelSymbols,omitempty" json:"kernelSymbols,omitempty"`
}

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
