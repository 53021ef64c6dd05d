package main

import (
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/inspect"
)

func (c *cli) inspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is in an image, whoever made it",
		Long: `Inspect tells what an image holds: the partitions and filesystems of a disk
(raw, qcow2, VMDK, VHD, VHDX) and whose each of its bytes is, the machine that an OVF
package (OVA, or loose files by their .ovf), a template of Oracle VM or an export
of XenServer describes and whether its digests hold, the configuration and layers of a container image (an OCI layout, or what
docker saves), and the disk in an archive or a container image. The image is
only read; one that is compressed is unpacked into the folder for temporary
files first ($TMPDIR).`,
		Example: "  imgbuild inspect out/hello.ova\n  imgbuild inspect --json appliance.vmdk",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := inspect.Read(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, report)
			}
			return report.WriteText(c.stdout)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}
