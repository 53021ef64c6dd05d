package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder/view"
	"github.com/imgbuild/imgbuild/output/ovf/lint"
)

func (c *cli) lintCommand() *cobra.Command {
	var (
		o      lint.Options
		strict bool
	)
	cmd := &cobra.Command{
		Use:   "lint PACKAGE",
		Short: "Find what importers of an OVF package stumble over",
		Long: `Lint examines an OVF package of any maker (an OVA, or loose files by their
.ovf): the archive, the manifest and its signature, the descriptor, and the
headers of the disks. Every rule stems from an import that failed, or from the
specification. What only some importers mind is asked of packages that are
meant for them: ` + strings.Join(lint.Importers(), ", ") + `. The machine types in the
package say for whom it is meant, or --for does. The package is only read.

Exit code 4: it cannot be read as a package; 6: there are errors, or warnings
with --strict.`,
		Example: "  imgbuild lint out/hello.ova\n  imgbuild lint --for vmware --strict appliance.ovf\n  imgbuild lint --json appliance.ova",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := lint.Run(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			if c.json {
				err = writeJSON(c.stdout, report)
			} else {
				err = writeFindings(c.stdout, report)
			}
			return errors.Join(err, report.Err(strict))
		},
	}
	cmd.Flags().StringSliceVar(&o.For, "for", nil, "importers that the package is meant for (default: those that its machine types name)")
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings count as errors")
	c.jsonFlag(cmd)
	return cmd
}

// writeFindings writes a report for people. What it tells of a package is
// foreign text.
func writeFindings(w io.Writer, r *lint.Report) error {
	var b strings.Builder
	for _, f := range r.Findings {
		place := f.File
		if f.Line > 0 {
			place += ":" + strconv.Itoa(f.Line)
		}
		fmt.Fprintf(&b, "%s: %s: %s [%s]\n    %s\n", view.Clean(place), f.Severity, view.Clean(f.Text), f.Rule, f.Remedy)
	}
	fmt.Fprintf(&b, "%s, for %s: %d errors, %d warnings\n", view.Clean(r.Path), strings.Join(r.For, ", "), r.Errors, r.Warnings)
	_, err := io.WriteString(w, b.String())
	return err
}
