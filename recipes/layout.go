package recipes

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
	// "gzip", "lz4"). A root by lz4hc is a tenth smaller than one by lz4 and
	// takes several times as long to make: it is for what is published.
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
