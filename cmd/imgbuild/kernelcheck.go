package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
)

// kernelReport is what a kernel file says of itself, and whom it serves.
type kernelReport struct {
	File        string             `json:"file"`
	Size        int64              `json:"size"` // bytes
	Format      kernel.Format      `json:"format"`
	Version     string             `json:"version"`
	Protocol    string             `json:"protocol,omitempty"` // of a bzImage's setup header
	Compression kernel.Compression `json:"compression,omitempty"`
	EFI         bool               `json:"efi"`
	XenPV       bool               `json:"xenPV"`
	PVH         bool               `json:"pvh"`
	// Config says where the configuration was found: "file" (CONFIG_IKCONFIG),
	// "option" (--config), or "" when the symbols could not be checked.
	Config  string         `json:"config"`
	Targets []servedTarget `json:"targets"`
}

type servedTarget struct {
	Name   string        `json:"name"`
	About  string        `json:"about"`
	Serves bool          `json:"serves"`
	Lacks  []kernel.Lack `json:"lacks,omitempty"`
}

func (c *cli) kernelCheckCommand() *cobra.Command {
	var on []string
	var config string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Tell what a kernel file is and which targets it serves",
		Long: `Check reads a kernel file, a bzImage (vmlinuz) or an ELF (vmlinux): its version,
boot protocol, compression, EFI stub and Xen notes, and its configuration when
it carries one. For each target it names what is missing. With --on it ends in
exit code 4 when one of those is not served.`,
		Example: "  imgbuild kernel check /boot/vmlinuz\n  imgbuild kernel check bzImage --on xen-pv,vmware --config .config",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := checkKernel(args[0], config, on)
			if err != nil {
				return err
			}
			if c.json {
				err = writeJSON(c.stdout, report)
			} else {
				err = report.write(c.stdout)
			}
			return errors.Join(err, report.verdict(len(on) > 0))
		},
	}
	c.jsonFlag(cmd)
	cmd.Flags().StringSliceVar(&on, "on", nil, "targets that it must serve (default: tell about all)")
	cmd.Flags().StringVar(&config, "config", "", "the configuration that the kernel was built with")
	return cmd
}

// checkKernel reads the file and compares it with the targets; none means all.
func checkKernel(path, configPath string, on []string) (*kernelReport, error) {
	targets := kernel.Targets()
	if len(on) > 0 {
		targets = nil
		for _, name := range on {
			t, err := kernel.FindTarget(name)
			if err != nil {
				return nil, err
			}
			targets = append(targets, t)
		}
	}
	im, size, err := identify(path)
	if err != nil {
		return nil, err
	}
	report := &kernelReport{
		File: path, Size: size, Format: im.Format, Version: im.Version, Compression: im.Compression,
		EFI: im.EFI, XenPV: im.XenPV, PVH: im.PVH,
	}
	if im.Protocol != 0 {
		report.Protocol = fmt.Sprintf("%d.%02d", im.Protocol>>8, im.Protocol&0xff)
	}
	config := im.Config
	if config != nil {
		report.Config = "file"
	}
	if configPath != "" {
		if config, err = readConfig(configPath); err != nil {
			return nil, err
		}
		report.Config = "option"
	}
	for _, t := range targets {
		lacks := t.Lacks(im, config, false)
		report.Targets = append(report.Targets, servedTarget{t.Name, t.About, len(lacks) == 0, lacks})
	}
	return report, nil
}

func identify(path string) (kernel.Image, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return kernel.Image{}, 0, fault.New(fault.Input, err, "name a kernel file, such as arch/x86/boot/bzImage")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return kernel.Image{}, 0, fault.New(fault.Input, err)
	}
	im, err := kernel.Identify(f, info.Size())
	return im, info.Size(), fault.New(fault.Input, err, "name a kernel file, such as arch/x86/boot/bzImage")
}

func readConfig(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Input, err, "name the .config of the kernel's build, or a distribution's config-VERSION")
	}
	defer f.Close()
	return kernel.ParseConfig(f)
}

// verdict is an error when a target that was asked for is not served.
func (r *kernelReport) verdict(asked bool) error {
	if !asked {
		return nil
	}
	var missing, hints []string
	for _, t := range r.Targets {
		if !t.Serves {
			missing = append(missing, t.Name)
		}
		for _, l := range t.Lacks {
			if hint := t.Name + ": " + l.Remedy; !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Input, fmt.Errorf("%s does not serve %s", r.File, strings.Join(missing, ", ")), hints...)
}

// write prints the report for people.
func (r *kernelReport) write(w io.Writer) error {
	words := func(ok bool, text string) string {
		if ok {
			return text
		}
		return "no"
	}
	var notes []string
	for text, ok := range map[string]bool{"PV (ENTRY)": r.XenPV, "PVH (PHYS32_ENTRY)": r.PVH} {
		if ok {
			notes = append(notes, text)
		}
	}
	slices.Sort(notes)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "file\t%s, %d bytes\n", r.File, r.Size)
	fmt.Fprintf(t, "version\t%s\n", r.Version)
	if r.Format == kernel.BzImage {
		fmt.Fprintf(t, "format\tbzImage, boot protocol %s, payload %s\n", r.Protocol, r.Compression)
	} else {
		fmt.Fprintf(t, "format\tELF\n")
	}
	fmt.Fprintf(t, "EFI stub\t%s\n", words(r.EFI, "yes"))
	fmt.Fprintf(t, "Xen notes\t%s\n", words(len(notes) > 0, strings.Join(notes, ", ")))
	fmt.Fprintf(t, "configuration\t%s\n\n", map[string]string{
		"file": "in the file (CONFIG_IKCONFIG)", "option": "as given",
		"": "not in the file: drivers could not be checked; --config names it"}[r.Config])
	for _, target := range r.Targets {
		fmt.Fprintf(t, "%s\t%s\t%s\n", map[bool]string{true: "yes", false: "NO"}[target.Serves], target.Name, target.About)
		for _, l := range target.Lacks {
			fmt.Fprintf(t, "\t\tlacks %s\n", l.Feature)
		}
	}
	return t.Flush()
}
