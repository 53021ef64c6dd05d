package recipes

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
