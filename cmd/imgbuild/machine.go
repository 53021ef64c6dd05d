package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages"
	"github.com/imgbuild/imgbuild/vm"
)

// machineFlags describe the virtual machine of `run` and `test`.
type machineFlags struct {
	boot, accel, machine, bus, nic string
	memory                         string
	cpus                           int
}

func (f *machineFlags) addMachine(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.accel, "accel", string(vm.Auto), "auto, kvm or tcg (emulation)")
	flags.StringVar(&f.machine, "machine", string(vm.Q35), "q35, pc or microvm")
	flags.StringVar(&f.bus, "bus", string(vm.Virtio), "bus of the disk: virtio, nvme, ahci, ide or scsi")
	flags.StringVar(&f.nic, "nic", string(vm.VirtioNet), "network card: virtio, e1000, e1000e, vmxnet3 or none")
	flags.StringVarP(&f.memory, "memory", "m", "", "memory of the guest, such as 512MiB (default: what the recipe says)")
	flags.IntVar(&f.cpus, "cpus", 0, "processors of the guest (default: what the recipe says)")
}

// target is an image to boot, and what is known of it.
type target struct {
	image  string
	memory int64
	cpus   int
	ports  []int
	checks []recipes.Check
}

// options fills in a machine for the target.
func (f *machineFlags) options(c *cli, t target) (vm.Options, error) {
	o := vm.Options{
		Disk: t.image, Boot: vm.Boot(f.boot), Accel: vm.Accel(f.accel), Machine: vm.MachineType(f.machine),
		Bus: vm.Bus(f.bus), NIC: vm.NIC(f.nic), Memory: t.memory, CPUs: t.cpus,
	}
	if f.cpus < 0 {
		return o, fault.New(fault.Usage, fmt.Errorf("--cpus: a guest cannot have %d processors", f.cpus), "give 1 or more, or leave it to the recipe")
	}
	if f.cpus > 0 {
		o.CPUs = f.cpus
	}
	if f.memory != "" {
		n, err := recipes.ParseSize(f.memory)
		if err != nil {
			return o, fault.New(fault.Usage, fmt.Errorf("--memory: %w", err))
		}
		o.Memory = int64(n)
	}
	var err error
	o.Cache, err = c.cache()
	return o, err
}

// check tells what is wrong with the flags, which must not show only after a
// build.
func (f *machineFlags) check(c *cli) error {
	o, err := f.options(c, target{image: "any"})
	if err != nil {
		return err
	}
	_, err = vm.New(o)
	return err
}

// find makes a target of an argument: a recipe is built first, an image is
// taken with the result that lies beside it.
func (c *cli) find(ctx context.Context, arg string, b buildOptions) (target, error) {
	if !isRecipe(arg) {
		return imageTarget(arg)
	}
	result, err := c.build(ctx, arg, b)
	if err != nil {
		return target{}, err
	}
	t := target{memory: result.Memory, cpus: result.CPUs, ports: result.Ports, checks: result.Checks}
	for _, want := range []string{"raw", "qcow2"} {
		i := slices.IndexFunc(result.Outputs, func(f output.File) bool { return f.Format == want })
		if i >= 0 {
			t.image = filepath.Join(b.out, result.Outputs[i].Path)
			return t, nil
		}
	}
	return target{}, fault.New(fault.Recipe, fmt.Errorf("%s makes no output that QEMU boots", arg), "add raw or qcow2 to outputs")
}

func isRecipe(arg string) bool {
	ext := filepath.Ext(arg)
	return ext == ".yaml" || ext == ".yml"
}

// imageTarget reads NAME.json beside NAME.raw, if it is there.
func imageTarget(path string) (target, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		return target{}, fault.New(fault.Input, fmt.Errorf("looking for the image: %w", err),
			"name an image, or a recipe: a file that ends in .yaml")
	}
	t := target{image: path, memory: vm.DefaultMemory, cpus: 1}
	text, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".json")
	if err != nil {
		return t, nil // an image of somebody else's
	}
	var r stages.Result
	if err := json.Unmarshal(text, &r); err != nil || r.Memory == 0 {
		return t, nil
	}
	t.memory, t.cpus, t.ports, t.checks = r.Memory, r.CPUs, r.Ports, r.Checks
	return t, nil
}

// forwards reads -p flags; without any, every port of the recipe is forwarded
// to the same port here, or to a free one when that is taken.
func forwards(flags []string, ports []int) ([]vm.Forward, error) {
	var out []vm.Forward
	for _, f := range flags {
		host, guest, both := strings.Cut(f, ":")
		if !both {
			guest = host
		}
		h, err1 := strconv.ParseUint(host, 10, 16)
		g, err2 := strconv.ParseUint(guest, 10, 16)
		if err1 != nil || err2 != nil || g == 0 {
			return nil, fault.New(fault.Usage, fmt.Errorf("-p %s is not a pair of ports", f), "-p 18080:8080 leads port 18080 here to port 8080 of the guest")
		}
		out = append(out, vm.Forward{Host: int(h), Guest: int(g)})
	}
	if len(flags) == 0 {
		for _, p := range ports {
			out = append(out, vm.Forward{Guest: p})
		}
	}
	return out, nil
}
