package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/parttable"
)

// growPartition makes the last partition of a disk fill it: on the disk, and in
// the kernel, which has other partitions of the disk in use and so cannot read
// the table anew.
func growPartition(sys, dev, partuuid string) error {
	p, err := locate(sys, dev, partuuid)
	if err != nil {
		return err
	}
	sectors, err := readNumber(filepath.Join(sys, p.disk, "size")) // of 512 bytes, whatever the block size
	if err != nil {
		return err
	}
	disk, err := os.OpenFile(filepath.Join(dev, strings.ReplaceAll(p.disk, "!", "/")), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	extent, grown, err := parttable.Grow(disk, sectors*512, blockSize(sys, p.disk), partuuid)
	if err != nil || !grown {
		return err
	}
	return resize(disk, p.number, extent)
}

// The interface of BLKPG (include/uapi/linux/blkpg.h).
type (
	blkpgArg struct {
		op, flags, size int32
		_               int32
		data            unsafe.Pointer
	}
	blkpgPartition struct {
		start, length int64 // bytes
		number        int32
		_             [128]byte // names, which are not read
		_             int32
	}
)

const blkpgResizePartition = 3

// resize tells the kernel the new length of a partition.
func resize(disk *os.File, number int, e parttable.Extent) error {
	p := blkpgPartition{start: e.Start, length: e.Length, number: int32(number)}
	arg := blkpgArg{op: blkpgResizePartition, size: int32(unsafe.Sizeof(p)), data: unsafe.Pointer(&p)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("resizing partition %d: %w", number, errno)
	}
	return nil
}

// ext4ResizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64) (fs/ext4/ext4.h).
const ext4ResizeFS = 1<<30 | 8<<16 | 'f'<<8 | 16

// growFilesystem makes a mounted ext4 filesystem fill its partition. The kernel
// does it in transactions of its journal, and does nothing when it is full
// already.
func growFilesystem(device, path string) error {
	sectors, err := readNumber(filepath.Join("/sys/class/block", filepath.Base(device), "size"))
	if err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return err
	}
	if fs.Type != unix.EXT4_SUPER_MAGIC || fs.Bsize < 512 {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	blocks := uint64(sectors) * 512 / uint64(fs.Bsize)
	// Asking for what it has is answered with success, for less with EINVAL:
	// of a partition that was cut, or of one that ends within a block group
	// too small to be one.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), ext4ResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return errno
	}
	return nil
}
