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
	"github.com/spf13/pflag"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
)

// machineFlags describe the virtual machine of `run` and `test`.
type machineFlags struct {
	on                       []string
	accel, machine, bus, nic string
	memory                   string
	cpus                     int
	properties               []string
}

// addMachine adds the flags. They have one word for a whole machine: --on; the
// older --boot is another spelling of it.
func (f *machineFlags) addMachine(cmd *cobra.Command, on, usage string) {
	flags := cmd.Flags()
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "boot" {
			name = "on"
		}
		return pflag.NormalizedName(name)
	})
	flags.StringSliceVar(&f.on, "on", []string{on}, usage)
	flags.StringVar(&f.accel, "accel", string(vm.Auto), "auto, kvm or tcg (emulation)")
	flags.StringVar(&f.machine, "machine", "", "another board for the target: q35, pc or microvm")
	flags.StringVar(&f.bus, "bus", "", "another bus of the disk: virtio, virtio-legacy, nvme, ahci, ide, scsi, pvscsi or lsi-sas")
	flags.StringVar(&f.nic, "nic", "", "another network card: virtio, virtio-legacy, e1000, e1000e, vmxnet3 or none")
	flags.StringVarP(&f.memory, "memory", "m", "", "memory of the guest, such as 512MiB (default: what the recipe says)")
	flags.IntVar(&f.cpus, "cpus", 0, "processors of the guest (default: what the recipe says)")
	flags.StringArrayVar(&f.properties, "property", nil, "answer a property of the recipe's ovf.properties, as an OVF importer does: KEY=VALUE")
	// Only a flag that does not exist is an error.
	_ = cmd.RegisterFlagCompletionFunc("on", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return target.Names(), cobra.ShellCompDirectiveNoFileComp
	})
}

// targets are what --on names.
func (f *machineFlags) targets() ([]target.Target, error) {
	found, err := target.Find(f.on...)
	if err != nil {
		return nil, fmt.Errorf("--on: %w", err)
	}
	return found, nil
}

// subject is an image to boot, and what is known of it.
type subject struct {
	image  string
	memory int64
	cpus   int
	second int64 // size of a second disk, in bytes
	ports  []int
	checks []recipes.Check
	// properties are the keys that can be answered, when asks is true.
	asks       bool
	properties []string
}

// options describe the machine for a subject, but for what its target says.
func (f *machineFlags) options(c *cli, s subject) (vm.Options, error) {
	o := vm.Options{
		Disk: s.image, Accel: vm.Accel(f.accel), Machine: vm.MachineType(f.machine),
		Bus: vm.Bus(f.bus), NIC: vm.NIC(f.nic), Memory: s.memory, CPUs: s.cpus, Second: vm.Second{Size: s.second},
		Log: func(text string) { fmt.Fprintln(c.stderr, "imgbuild: "+text) },
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
	if o.CD, err = answers(f.properties, s); err != nil {
		return o, err
	}
	o.Cache, err = c.cache()
	return o, err
}

// check tells what is wrong with the flags, which must not show only after a
// build.
func (f *machineFlags) check(c *cli) error {
	o, err := f.options(c, subject{image: "any"})
	if err != nil {
		return err
	}
	targets, err := f.targets()
	if err != nil {
		return err
	}
	for _, t := range targets {
		if _, err := vm.New(t.Fill(o)); err != nil {
			return fault.New(fault.Usage, fmt.Errorf("target %s: %w", t.Name, err), "change the flags that replace a part of the target, or name another")
		}
	}
	return nil
}

// find makes a subject of an argument: a recipe is built first, an image is
// taken with the result that lies beside it.
func (c *cli) find(ctx context.Context, arg string, b buildOptions) (subject, error) {
	if !isRecipe(arg) {
		return imageSubject(arg)
	}
	result, err := c.build(ctx, arg, b)
	if err != nil {
		return subject{}, err
	}
	s := resultSubject(result)
	for _, want := range []string{"raw", "qcow2"} {
		i := slices.IndexFunc(result.Outputs, func(f output.File) bool { return f.Format == want })
		if i >= 0 {
			s.image = filepath.Join(b.out, result.Outputs[i].Path)
			return s, nil
		}
	}
	return subject{}, fault.New(fault.Recipe, fmt.Errorf("%s makes no output that QEMU boots", arg), "add raw or qcow2 to outputs")
}

func isRecipe(arg string) bool {
	ext := filepath.Ext(arg)
	return ext == ".yaml" || ext == ".yml"
}

// imageSubject reads NAME.json beside NAME.raw, if it is there.
func imageSubject(path string) (subject, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		return subject{}, fault.New(fault.Input, fmt.Errorf("looking for the image: %w", err),
			"name an image, or a recipe: a file that ends in .yaml")
	}
	s := subject{image: path, memory: vm.DefaultMemory, cpus: 1}
	text, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".json")
	if err != nil {
		return s, nil // an image of somebody else's
	}
	var r stages.Result
	if err := json.Unmarshal(text, &r); err != nil || r.Memory == 0 {
		return s, nil
	}
	s = resultSubject(&r)
	s.image = path
	return s, nil
}

// resultSubject is what the result of a build tells, but for the image.
func resultSubject(r *stages.Result) subject {
	return subject{memory: r.Memory, cpus: r.CPUs, second: r.Second, ports: r.Ports, checks: r.Checks, asks: true, properties: r.Properties}
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
