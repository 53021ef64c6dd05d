package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

func (c *cli) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cache",
		Short:   "Look at the cache, or free its space",
		Example: "  imgbuild cache ls\n  imgbuild cache prune --older-than 720h",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.cacheList(), c.cachePrune())
	return cmd
}

// openStore opens the cache of the flags.
func (c *cli) openStore() (*store.Store, error) {
	dir, err := c.cache()
	if err != nil {
		return nil, err
	}
	return store.Open(dir, c.logger())
}

func (c *cli) cacheList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List what the cache holds",
		Example: "  imgbuild cache ls --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.openStore()
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.List(cmd.Context())
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, append([]store.Entry{}, list...)) // never null
			}
			w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "STAGE\tKIND\tSIZE\tLAST USED\tKEY")
			for _, e := range list {
				key := "-"
				if e.Key != "" {
					key = e.Key.Encoded()[:12]
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Stage, e.Kind, recipes.Size(e.Size), e.Used.Local().Format(time.DateTime), key)
			}
			return w.Flush()
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) cachePrune() *cobra.Command {
	var o store.PruneOptions
	var size string
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Free the space of results that were not used lately",
		Long: `Prune removes the results that were not used for the given time, then the
longest unused ones until the cache is no larger than asked, and all that only
they need. The package lists of apt and the Xen of ` + "`imgbuild test`" + ` go by the same
rules. What a running build uses stays.`,
		Example: "  imgbuild cache prune --older-than 168h\n  imgbuild cache prune --max-size 5GiB\n  imgbuild cache prune --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if size != "" {
				n, err := recipes.ParseSize(size)
				if err != nil {
					return fault.New(fault.Usage, fmt.Errorf("--max-size: %w", err))
				}
				o.MaxBytes = int64(n)
			}
			if !o.All && o.MaxAge == 0 && o.MaxBytes == 0 {
				return fault.New(fault.Usage, fmt.Errorf("nothing says what to remove"), "give --older-than, --max-size or --all")
			}
			s, err := c.openStore()
			if err != nil {
				return err
			}
			defer s.Close()
			freed, err := s.Prune(cmd.Context(), o)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, freed)
			}
			fmt.Fprintf(c.stdout, "%d results, %d folders and %s freed\n", freed.Results, freed.Folders, recipes.Size(freed.Bytes))
			return nil
		},
	}
	cmd.Flags().DurationVar(&o.MaxAge, "older-than", 0, "remove what was not used for this long, such as 168h")
	cmd.Flags().StringVar(&size, "max-size", "", "shrink the cache to this size, such as 5GiB")
	cmd.Flags().BoolVar(&o.All, "all", false, "remove everything that no running build uses")
	c.jsonFlag(cmd)
	return cmd
}
