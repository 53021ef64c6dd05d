package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/clean"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// sanitizeOptions are the flags of `imgbuild sanitize`.
type sanitizeOptions struct {
	clean.Options
	only, except []string
	policy       string
}

func (c *cli) sanitizeCommand() *cobra.Command {
	var o sanitizeOptions
	cmd := &cobra.Command{
		Use:   "sanitize IMAGE",
		Short: "Zero every deleted byte of an image, and prove it",
		Long: `Sanitize takes the account of an image, whoever made it: whose is each of its
bytes? What is dead is zeroed: free space, the rest of files' last blocks, deleted
names and inodes, journals, gaps between partitions. What lives stays as it is,
and what nobody can name is left alone and reported.

The image may be raw, a container of any format that imgbuild reads, a block
device, or a package (an OVA, loose files by their .ovf, a template of Oracle VM,
an export of XenServer) or an archive, of which all disks are taken. The result
is a new image beside it, NAME.sanitized.ENDING, written afresh; the image itself is only
read. --in-place changes a raw image or a block device instead; it can be cut off
at any moment and run again.

At the end the result is read anew: every dead byte must be zero, and the live
tree the same as before. Exit code 4: the image cannot be read or must not be
scrubbed as it is; 5: the proof fails, or bytes without a known owner are left
(--policy none lets those pass); 8: no space, or no permission.`,
		Example: "  imgbuild sanitize disk.img\n  imgbuild sanitize appliance.ova -o clean/ --format qcow2\n  imgbuild sanitize --in-place --dry-run --json disk.img",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.sanitize(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.Out, "output", "o", "", "file of the result; a folder for the disks of a package")
	f.BoolVar(&o.InPlace, "in-place", false, "change the image itself")
	f.StringVar(&o.Format, "format", "", "format of the result: qcow2, raw, vhd, vhdx, vmdk (default: that of the image)")
	f.StringSliceVar(&o.only, "only", nil, "zero only these classes: free, slack, stale, gap")
	f.StringSliceVar(&o.except, "except", nil, "leave these classes alone")
	f.StringVar(&o.policy, "policy", string(clean.Default), "default, or none: let bytes without a known owner pass")
	f.BoolVar(&o.Replay, "replay", false, "replay the journal of an ext filesystem that was not unmounted")
	f.BoolVar(&o.DryRun, "dry-run", false, "tell what would be zeroed; write nothing")
	cmd.MarkFlagsMutuallyExclusive("in-place", "output")
	cmd.MarkFlagsMutuallyExclusive("in-place", "format")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) sanitize(ctx context.Context, image string, o sanitizeOptions) error {
	var err error
	if o.Only, err = classes("--only", o.only); err != nil {
		return err
	}
	if o.Except, err = classes("--except", o.except); err != nil {
		return err
	}
	if o.Policy = clean.Policy(o.policy); !slices.Contains(clean.Policies(), o.Policy) {
		return fault.New(fault.Usage, fmt.Errorf("--policy: there is no policy %q", o.policy), "choose default or none")
	}
	report, err := clean.Run(ctx, image, o.Options)
	if report == nil {
		return err
	}
	show := report.WriteText
	if c.json {
		show = report.WriteJSON
	}
	if len(report.Disks) > 0 {
		if said := show(c.stdout); err == nil {
			err = said
		}
	}
	return err
}

// classes turns names into dead classes.
func classes(flag string, names []string) ([]sanitize.Class, error) {
	var list []sanitize.Class
	for _, name := range names {
		var class sanitize.Class
		if err := class.UnmarshalText([]byte(name)); err != nil || !class.Dead() {
			return nil, fault.New(fault.Usage, fmt.Errorf("%s: %q is not a dead class", flag, name), "choose among free, slack, stale and gap")
		}
		list = append(list, class)
	}
	return list, nil
}
