package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/convert"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages"
)

// convertFlags are the flags of `imgbuild convert`.
type convertFlags struct {
	format  string
	options []string
	disk    string
	cpus    int
	memory  string
}

func (c *cli) convertCommand() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert IN... OUT",
		Short: "Turn an image into another format",
		Long: `Convert turns a disk (raw, qcow2, VMDK, VHD, VHDX) into another container or
into a package that describes a machine, and a disk in a package (OVA, or loose
files by their .ovf; a template of Oracle VM; an export of XenServer), in an
archive (for Google Compute Engine, a Vagrant box) or in a container image (a
containerDisk of KubeVirt) into a file. The format is told by the suffix of OUT, or by --format:
` + strings.Join(convert.Formats(), ", ") + `.

The disk keeps every byte. A package that becomes another package keeps all disks of
its machine; of several machines the first. Further images before OUT become further
disks of a package. What a package says beside its disks, and the new format
has no place for, is reported as lost. Files get their names when they are
complete; what was there before is replaced then. Other files that an image
builds on are followed when they lie in its folder. A raw disk may be
compressed: OUT.raw.xz, OUT.raw.zst or OUT.raw.gz. An image that comes
compressed is unpacked into the folder for temporary files first ($TMPDIR).`,
		Example: "  imgbuild convert appliance.ova appliance.qcow2\n  imgbuild convert disk.qcow2 azure.vhd --option type=fixed\n" +
			"  imgbuild convert disk.vhdx appliance.ova --cpus 2 --memory 1GiB --option hypervisor=virtualbox\n" +
			"  imgbuild convert export.xva appliance.ova\n  imgbuild convert system.qcow2 data.vhd appliance.ova",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ins, out := args[:len(args)-1], args[len(args)-1]
			result, err := c.convert(cmd.Context(), ins, out, f)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, result)
			}
			for _, file := range result.Files {
				fmt.Fprintln(c.stdout, filepath.Join(filepath.Dir(out), file.Path))
			}
			return nil
		},
	}
	c.jsonFlag(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.format, "format", "f", "", "format of OUT (default: by its suffix)")
	flags.StringArrayVar(&f.options, "option", nil, "option of the format, as a recipe has it: --option type=fixed")
	flags.StringVar(&f.disk, "disk", "", "which disk of a package or archive, by its ID or file name (default: the only one; all when OUT is a package)")
	flags.IntVar(&f.cpus, "cpus", 0, "processors that a package describes (default: as the source, or 1)")
	flags.StringVarP(&f.memory, "memory", "m", "", "memory that a package describes, such as 512MiB (default: as the source, or 512MiB)")
	return cmd
}

// convert converts with its progress, and what was lost, on stderr.
func (c *cli) convert(ctx context.Context, ins []string, out string, f convertFlags) (*convert.Result, error) {
	o, err := f.conversion(ins, out)
	if err != nil {
		return nil, err
	}
	var result *convert.Result
	err = c.follow("convert", strings.Join(ins, ", ")+" to "+out, func(tell builder.Listener) (err error) {
		o.Progress = byteProgress(tell)
		if result, err = convert.Run(ctx, o); err != nil {
			return err
		}
		for _, text := range result.Lost {
			tell(builder.Event{Kind: builder.Warning, Message: "lost: " + text})
		}
		for _, text := range result.Assumed {
			tell(builder.Event{Kind: builder.Warning, Message: "assumed: " + text})
		}
		return nil
	})
	return result, err
}

// conversion turns the flags into options.
func (f convertFlags) conversion(ins []string, out string) (convert.Options, error) {
	o := convert.Options{In: ins[0], More: ins[1:], Out: out, Format: f.format, Disk: f.disk, CPUs: f.cpus, FormatOptions: map[string]any{}}
	var err error
	if o.Created, err = stages.EpochFromEnvironment(); err != nil {
		return o, fault.New(fault.Usage, err, "give the seconds since 1970, or unset it")
	}
	for _, option := range f.options {
		key, value, ok := strings.Cut(option, "=")
		if !ok || key == "" {
			return o, fault.New(fault.Usage, fmt.Errorf("--option %s: it is not KEY=VALUE", option), "for example --option type=fixed")
		}
		o.FormatOptions[key] = value
	}
	if f.cpus < 0 {
		return o, fault.New(fault.Usage, fmt.Errorf("--cpus: %d is no number of processors", f.cpus))
	}
	if f.memory != "" {
		n, err := recipes.ParseSize(f.memory)
		if err != nil {
			return o, fault.New(fault.Usage, fmt.Errorf("--memory: %w", err))
		}
		o.Memory = int64(n)
	}
	return o, nil
}
