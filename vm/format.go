package vm

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/imgbuild/imgbuild/fault"
)

// formatOf tells the container of an image by its magic. A fixed VHD has its
// magic in the last sector; everything without one is raw.
func formatOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fault.New(fault.Input, fmt.Errorf("opening the disk: %w", err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("opening the disk: %w", err)
	}
	head := make([]byte, 32)
	if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
		return "", fault.New(fault.Input, fmt.Errorf("reading the disk: %w", err))
	}
	foot := make([]byte, 8)
	if info.Size() >= 512 {
		if _, err := f.ReadAt(foot, info.Size()-512); err != nil {
			return "", fault.New(fault.Input, fmt.Errorf("reading the disk: %w", err))
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("QFI\xfb")):
		return "qcow2", nil
	case bytes.HasPrefix(head, []byte("KDMV")), bytes.HasPrefix(head, []byte("# Disk DescriptorFile")):
		return "vmdk", nil
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return "vhdx", nil
	case bytes.HasPrefix(head, []byte("conectix")), bytes.Equal(foot, []byte("conectix")):
		return "vpc", nil
	}
	return "raw", nil
}
