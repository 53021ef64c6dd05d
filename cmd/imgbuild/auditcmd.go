package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// auditFlags are the flags of `imgbuild audit`.
type auditFlags struct {
	policy, rules string
	all           bool
	maxFindings   int
}

func (c *cli) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit IMAGE",
		Short: "Tell what a stranger could recover from an image",
		Long: `Audit reads every byte of a disk image that no file owns, and the files that
live, and tells which deleted files and which secrets somebody else could
recover: the type, the place, the owner. A secret is never shown whole. The
image may be of any maker and is only read.

The exit code is 0 when nothing is against the policy, and 5 otherwise:
  none     nothing is forbidden
  default  keys and passwords, and deleted files that can still be read
  public   what public AMIs and marketplaces ask for`,
		Example: "  imgbuild audit out/hello.qcow2\n  imgbuild audit --policy public --json disk.vmdk > audit.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.audit(cmd, args[0], &f)
		},
	}
	cmd.Flags().StringVar(&f.policy, "policy", "default", "what is forbidden: none, default or public")
	cmd.Flags().StringVar(&f.rules, "rules", "", "a file of further rules and of what is allowed")
	cmd.Flags().BoolVar(&f.all, "all", false, "carve in live files and metadata too")
	cmd.Flags().IntVar(&f.maxFindings, "max-findings", audit.DefaultFindings, "how many findings of each kind are listed; all are counted")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) audit(cmd *cobra.Command, path string, f *auditFlags) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	r, format, closer, err := image.Open(path)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("opening the image: %w", err), "name a disk image: raw, qcow2 or VMDK, or a block device that you may read")
	}
	defer closer.Close()
	report, err := audit.Run(cmd.Context(), r, opts)
	if err != nil {
		return fmt.Errorf("auditing %s: %w", path, err)
	}
	report.Path, report.Format = path, format
	if c.json {
		err = writeJSON(c.stdout, report)
	} else {
		err = report.WriteTable(c.stdout)
	}
	return errors.Join(err, report.Err())
}

// options turns the flags into those of an audit.
func (f *auditFlags) options() (audit.Options, error) {
	opts := audit.Options{Drivers: drivers.All(), All: f.all, MaxFindings: f.maxFindings}
	var err error
	if opts.Policy, err = audit.PolicyNamed(f.policy); err != nil {
		return opts, err
	}
	rules, err := secret.Builtin()
	if err != nil {
		return opts, err
	}
	if f.rules != "" {
		own, err := readRules(f.rules)
		if err != nil {
			return opts, err
		}
		rules, opts.Allow = append(rules, own.Rules...), own.Allow
	}
	opts.Rules = secret.NewSet(rules)
	return opts, nil
}

// readRules reads the user's file of rules.
func readRules(path string) (secret.File, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return secret.File{}, fault.New(fault.Usage, err, "check the path that --rules names")
		}
		return secret.File{}, fault.New(fault.Input, err, "you need the right to read it")
	}
	defer f.Close()
	rules, err := secret.Parse(f)
	if err != nil {
		return rules, fault.New(fault.Usage, fmt.Errorf("reading the rules in %s: %w", path, err), "docs/audit.md has the form of a rule")
	}
	return rules, nil
}
