// Package openstack writes the disk for OpenStack: NAME-openstack.qcow2, and
// NAME-openstack.json with what Glance should know of it.
//
// The JSON is the body of the image service's "Create image" (API v2): name,
// formats, the least disk and memory, and the properties by which Nova chooses
// the virtual hardware ("Useful image properties" in Glance's documentation),
// all of which are strings.
package openstack

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/qcow2"
)

// Format is the OpenStack format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "openstack" }

// Summary implements output.Format.
func (Format) Summary() string { return "qcow2 and image properties for OpenStack" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// image is the body of the request.
type image struct {
	Name            string `json:"name"`
	DiskFormat      string `json:"disk_format"`
	ContainerFormat string `json:"container_format"`
	MinDisk         int64  `json:"min_disk"` // GiB
	MinRAM          int64  `json:"min_ram"`  // MiB
	Architecture    string `json:"architecture"`
	Description     string `json:"description,omitempty"`
	OSType          string `json:"os_type"`
	OSVersion       string `json:"os_version,omitempty"`
	DiskBus         string `json:"hw_disk_bus"`
	VIFModel        string `json:"hw_vif_model"`
	RNGModel        string `json:"hw_rng_model"`
	MachineType     string `json:"hw_machine_type"`
	// Firmware is empty where the disk boots by both: Nova then takes its
	// default.
	Firmware string `json:"hw_firmware_type,omitempty"`
}

// Begin implements output.Writer.
func (f Format) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	im := image{
		Name: a.Name, DiskFormat: "qcow2", ContainerFormat: "bare",
		MinDisk: roundUp(size, 1<<30), MinRAM: roundUp(a.Memory, 1<<20),
		Architecture: "x86_64", Description: a.Description, OSType: "linux", OSVersion: a.Version,
		DiskBus: "virtio", VIFModel: "virtio", RNGModel: "virtio", MachineType: "q35",
	}
	if a.Firmware != "any" {
		im.Firmware = a.Firmware
	}
	text, err := json.MarshalIndent(im, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describing the image: %w", err)
	}
	stem := a.Name + "-openstack"
	return qcow2.Described(ctx, f.Name(), dir, stem, size, nil, qcow2.Text{Name: stem + ".json", Content: append(text, '\n')})
}

// roundUp counts the units that n bytes need.
func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit }
