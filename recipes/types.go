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
