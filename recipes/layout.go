package recipes

// Disk is the layout of the disk.
type Disk struct {
	// Root is the read-only root.
	Root RootFS `yaml:"root,omitempty" json:"root,omitzero"`
	// Data is an optional writable filesystem that outlasts restarts.
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

// DataFS is the writable data filesystem. When its disk is made larger, by
// qemu-img resize or in a cloud, it fills the disk from the next boot on.
type DataFS struct {
	// Disk is "same", a partition behind the root, or "second": a disk of its
	// own, which the machine's owner attaches blank and whole. The first boot
	// makes the filesystem there. A disk that anything is on is left alone, and
	// the boot fails.
	Disk string `yaml:"disk,omitempty" json:"disk,omitempty" jsonschema:"enum=same,enum=second"`
	// Filesystem is "ext4".
	Filesystem string `yaml:"filesystem,omitempty" json:"filesystem,omitempty" jsonschema:"enum=ext4"`
	// Size of the partition, or of the second disk in OVF packages, XenServer and
	// Oracle VM archives, and of the one that `imgbuild run` and `test` attach.
	Size Size `yaml:"size" json:"size" jsonschema:"required"`
	// Mount is where it is mounted in the guest; it belongs to the app's user.
	Mount string `yaml:"mount" json:"mount" jsonschema:"required" check:"guest"`
}

// OnSecond returns the size of the second disk, in bytes; 0 when the data are
// not on one.
func (d *DataFS) OnSecond() int64 {
	if d == nil || d.Disk != "second" {
		return 0
	}
	return int64(d.Size)
}

// BootFS is the boot partition.
type BootFS struct {
	// Size of the partition; automatic by default.
	Size Size `yaml:"size,omitempty" json:"size,omitempty"`
}
