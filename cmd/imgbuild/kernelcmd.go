package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/recipes"
)

func (c *cli) kernelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kernel",
		Short: "Show what the universal kernel is asked for, and check kernel files",
		Long: `Kernel tells about kernels without building one: what the universal kernel is
asked for and why, and which machines a kernel file serves.`,
		Example: "  imgbuild kernel config\n  imgbuild kernel explain VIRTIO_BALLOON\n  imgbuild kernel check bzImage --on xen-pvh,vmware",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.kernelConfigCommand(), c.kernelExplainCommand(), c.kernelCheckCommand())
	return cmd
}

// fragmentFlags say which fragments are meant: the built-in ones of a series,
// and those of a recipe.
type fragmentFlags struct {
	recipeFlags
	series string
}

func (f *fragmentFlags) add(cmd *cobra.Command) {
	f.recipeFlags.add(cmd)
	cmd.Flags().StringVar(&f.series, "series", "", "series of the kernel (default: the recipe's, or "+recipes.DefaultSeries+")")
}

// fragments reads them; recipe may be empty.
func (f *fragmentFlags) fragments(recipe string) ([]kernel.Fragment, string, error) {
	series := f.series
	var own []string
	if recipe != "" {
		r, err := recipes.Resolve(recipes.Options{Path: recipe, Set: f.set})
		if err != nil {
			return nil, "", err
		}
		universal := r.Recipe.Kernel.Universal
		if universal == nil {
			return nil, "", fault.New(fault.Usage, fmt.Errorf("the kernel of %s is not built from source", recipe),
				"only kernel.universal has a configuration to choose; `imgbuild kernel check` reads a kernel file")
		}
		own = universal.Config
		if series == "" {
			series = universal.Series
		}
	} else if len(f.set) > 0 {
		return nil, "", fault.New(fault.Usage, fmt.Errorf("--set without a recipe"), "name the recipe, too")
	}
	if series == "" {
		series = recipes.DefaultSeries
	}
	fragments, err := kernel.Fragments(series)
	if err != nil {
		return nil, "", fault.New(fault.Usage, err)
	}
	for _, path := range own {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, "", fault.New(fault.Input, err, "the recipe names it in kernel.universal.config")
		}
		fragment, err := kernel.ParseFragment(path, bytes.NewReader(text))
		if err != nil {
			return nil, "", err
		}
		fragments = append(fragments, fragment)
	}
	return fragments, series, nil
}

// requested is a line of the configuration for machines.
type requested struct {
	Symbol   string `json:"symbol"`
	Value    string `json:"value"`
	Fragment string `json:"fragment"`
	Line     int    `json:"line"`
}

func (c *cli) kernelConfigCommand() *cobra.Command {
	var f fragmentFlags
	cmd := &cobra.Command{
		Use:   "config [RECIPE]",
		Short: "Print what the universal kernel is asked for, and by which fragment",
		Long: `Config prints the final configuration that is asked for, with the fragment each
line comes from: those built in, and those of the recipe's
kernel.universal.config. The output is a fragment itself. A build fails when
kconfig does not take every line of it.`,
		Example: "  imgbuild kernel config\n  imgbuild kernel config hello.yaml --json\n  imgbuild kernel config --series 6.1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			fragments, series, err := f.fragments(strings.Join(args, ""))
			if err != nil {
				return err
			}
			settings, err := kernel.Merge(fragments)
			if err != nil {
				return err
			}
			if !c.json {
				return writeConfig(c.stdout, series, settings)
			}
			list := make([]requested, len(settings))
			for i, s := range settings {
				list[i] = requested{s.Symbol, s.Value, s.File, s.Line}
			}
			return writeJSON(c.stdout, map[string]any{"series": series, "settings": list})
		},
	}
	f.add(cmd)
	c.jsonFlag(cmd)
	return cmd
}

// writeConfig prints settings below the names of their fragments.
func writeConfig(w io.Writer, series string, settings []kernel.Setting) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Linux %s, %d settings\n", series, len(settings))
	file := ""
	for _, s := range settings {
		if s.File != file {
			file = s.File
			fmt.Fprintf(&b, "\n# %s\n", file)
		}
		b.Write(kernel.AllConfig([]kernel.Setting{s}))
	}
	_, err := w.Write(b.Bytes())
	return err
}
