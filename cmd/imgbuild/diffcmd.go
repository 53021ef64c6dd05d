package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/inspect/diff"
)

// diffFlags are the flags of `imgbuild diff`.
type diffFlags struct {
	only, ignore []string
	stat         bool
	limit        int
}

// errDiffer ends a comparison that found something: exit code 1, as of diff(1).
var errDiffer = reported{fault.New(fault.Stage, errors.New("the images differ"))}

func (c *cli) diffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two images: partitions, files, packages, bytes",
		Long: `Diff compares two images of any formats that inspect reads: how they are wrapped,
their partitions and filesystems, the files in these (added, removed, changed,
renamed), the packages of dpkg and apk, and the bytes that differ, by what they
are and whose. Both are only read.

The exit code is that of diff(1): 0 when the images are the same, 1 when they
differ; 2 and more mean trouble, as for every verb. The same are two images whose
disks hold the same bytes, whatever their containers, and whose descriptions are
the same where both have one. With --only or --ignore, only what is compared
counts.

--only takes ` + strings.Join(texts(diff.Sections()), ", ") + `;
--ignore takes ` + strings.Join(texts(diff.Attributes()), ", ") + ` of files.`,
		Example: "  imgbuild diff old.qcow2 new.qcow2\n  imgbuild diff --stat disk.vmdk out/hello.ova\n" +
			"  imgbuild diff --only files,packages --ignore mtime old.raw new.raw --json",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			report, err := diff.Run(cmd.Context(), args[0], args[1], o)
			if err != nil {
				return err
			}
			if c.json {
				err = writeJSON(c.stdout, report)
			} else {
				err = report.WriteText(c.stdout)
			}
			if err == nil && !report.Same {
				err = errDiffer
			}
			return err
		},
	}
	c.jsonFlag(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.only, "only", nil, "compare only these sections")
	flags.StringSliceVar(&f.ignore, "ignore", nil, "let files differ in these attributes")
	flags.BoolVar(&f.stat, "stat", false, "print counts instead of lists")
	flags.IntVar(&f.limit, "limit", diff.DefaultLimit, "most rows of each list")
	completeWords(cmd, "only", texts(diff.Sections()))
	completeWords(cmd, "ignore", texts(diff.Attributes()))
	return cmd
}

// options reads the flags.
func (f diffFlags) options() (diff.Options, error) {
	o := diff.Options{Stat: f.stat, Limit: f.limit}
	if f.limit < 1 {
		return o, fault.New(fault.Usage, fmt.Errorf("--limit: %d is no number of rows", f.limit), "--stat leaves the lists out")
	}
	var err error
	if o.Only, err = diff.ParseSections(f.only); err != nil {
		return o, fmt.Errorf("--only: %w", err)
	}
	if o.Ignore, err = diff.ParseAttributes(f.ignore); err != nil {
		return o, fmt.Errorf("--ignore: %w", err)
	}
	return o, nil
}

// texts are names as plain text.
func texts[T ~string](names []T) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return list
}

// completeWords lets a shell complete the value of a flag.
func completeWords(cmd *cobra.Command, flag string, values []string) {
	// The flag is there: it cannot fail.
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}
