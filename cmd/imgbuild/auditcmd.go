package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/source"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/html"
	"github.com/imgbuild/imgbuild/sanitize/audit/sarif"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// auditFlags are the flags of `imgbuild audit`.
type auditFlags struct {
	policy, rules string
	all           bool
	maxFindings   int
	maxUnpacked   int64
	sarif, html   string
	before        string
	disk          string
	extract       string
	extractBytes  int64
	extractFiles  int64
}

func (c *cli) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit IMAGE",
		Short: "Tell what a stranger could recover from an image",
		Long: `Audit reads every byte of a disk image that no file owns, and the files that
live, and tells which deleted files and which secrets somebody else could
recover: the type, the place, the owner. A secret is never shown whole. The
image may be of any maker and is only read. Of a package with several disks all
are audited, each with its own report; --html, --before and --extract are for one
disk, which --disk names.

The policies:
  none     nothing is forbidden
  default  keys and passwords, and deleted files that can still be read
  public   what public AMIs and marketplaces ask for

Exit code 4: the image cannot be read; 5: something is against the policy; 8: no
space, or no permission.`,
		Example: "  imgbuild audit out/hello.qcow2\n  imgbuild audit --policy public --html audit.html disk.vmdk\n  imgbuild audit --policy none --extract found/ disk.img",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.audit(cmd, args[0], &f)
		},
	}
	cmd.Flags().StringVar(&f.policy, "policy", "default", "what is forbidden: none, default or public")
	cmd.Flags().StringVar(&f.rules, "rules", "", "a file of further rules and of what is allowed")
	cmd.Flags().BoolVar(&f.all, "all", false, "carve in live files and metadata too")
	cmd.Flags().IntVar(&f.maxFindings, "max-findings", audit.DefaultFindings, "how many findings of each kind are listed; all are counted")
	cmd.Flags().Int64Var(&f.maxUnpacked, "max-unpacked", audit.DefaultUnpacked, "unpack at most so many bytes of one archive")
	cmd.Flags().StringVar(&f.html, "html", "", "write the report as one page to this file")
	cmd.Flags().StringVar(&f.sarif, "sarif", "", "write the report for code-scanning pages to this file")
	cmd.Flags().StringVar(&f.disk, "disk", "", "audit this disk of a package alone, by its ID or file name")
	cmd.Flags().StringVar(&f.before, "before", "", "a report in JSON from before a scrub, for --html")
	cmd.Flags().StringVar(&f.extract, "extract", "", "write what is recovered into this new folder")
	cmd.Flags().Int64Var(&f.extractBytes, "extract-bytes", 1<<30, "write at most so many bytes")
	cmd.Flags().Int64Var(&f.extractFiles, "extract-files", 10_000, "write at most so many files")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) audit(cmd *cobra.Command, path string, f *auditFlags) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	src, disks, err := openAudited(cmd.Context(), path, f.disk)
	if err != nil {
		if len(fault.HintsOf(err)) == 0 {
			err = fault.New(fault.Input, err, "name a disk image, a block device that you may read, or a package")
		}
		return fmt.Errorf("opening the image: %w", err)
	}
	defer src.Close()
	if len(disks) > 1 {
		return c.auditPackage(cmd.Context(), path, disks, opts, f)
	}
	r, format, err := disks[0].Open()
	if err != nil {
		return fmt.Errorf("opening the image: %w", source.Unreadable(path, err))
	}
	var x *audit.Extractor
	if f.extract != "" {
		if x, err = audit.NewExtractor(f.extract, r, f.extractBytes, f.extractFiles); err != nil {
			return err
		}
		opts.Found = x.Write
	}
	var old *audit.Report
	if f.before != "" {
		if old, err = readReport(f.before); err != nil {
			return err
		}
	}
	report, err := audit.Run(cmd.Context(), r, opts)
	if err != nil {
		return fmt.Errorf("auditing %s: %w", path, err)
	}
	report.Path, report.Format = path, format
	if f.disk != "" {
		report.Disk = disks[0].Name
	}
	if err := f.write(old, report); err != nil {
		return err
	}
	if c.json {
		err = writeJSON(c.stdout, report)
	} else {
		err = report.WriteTable(c.stdout)
	}
	if x != nil {
		fmt.Fprintf(c.stderr, "files written to %s: %d; beyond the limits: %d\n", f.extract, x.Written, x.Left)
	}
	return errors.Join(err, report.Err())
}

// write writes the reports that go into files. Each gets its name when it is
// whole.
func (f *auditFlags) write(old *audit.Report, reports ...*audit.Report) error {
	for path, write := range map[string]func(io.Writer) error{
		f.html:  func(w io.Writer) error { return html.Write(w, reports[0], old) },
		f.sarif: func(w io.Writer) error { return sarif.Write(w, version, reports...) },
	} {
		if path == "" {
			continue
		}
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		if err := renameio.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return fault.New(fault.Environment, fmt.Errorf("writing the report: %w", err), "name a file in a folder that you may write to")
		}
	}
	return nil
}

// readReport reads a report that --json wrote.
func readReport(path string) (*audit.Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Input, err, "check the path that --before names")
	}
	var r audit.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading %s: %w", path, err), "--before wants what `imgbuild audit --json` printed")
	}
	return &r, nil
}

// options turns the flags into those of an audit.
func (f *auditFlags) options() (audit.Options, error) {
	opts := audit.Options{Drivers: drivers.All(), All: f.all, MaxFindings: f.maxFindings, MaxUnpacked: f.maxUnpacked}
	if f.maxFindings <= 0 || f.maxUnpacked <= 0 || f.extractBytes < 0 || f.extractFiles < 0 {
		return opts, fault.New(fault.Usage, errors.New("a limit is below what it can be"), "--max-findings and --max-unpacked are 1 at least, --extract-bytes and --extract-files 0")
	}
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
