package main

import (
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/stages"
)

func (c *cli) planCommand() *cobra.Command {
	var f recipeFlags
	var dot bool
	cmd := &cobra.Command{
		Use:   "plan RECIPE",
		Short: "Show what a build would do",
		Long: `Plan prints the graph of stages, each with its key. Nothing is built. A recipe
without a lock is locked first, for the keys depend on what its inputs are.`,
		Example: "  imgbuild plan hello.yaml\n  imgbuild plan --dot hello.yaml | dot -Tsvg > plan.svg",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := c.request(args[0], &f)
			if err != nil {
				return err
			}
			q.DryRun = true
			s, err := stages.Open(cmd.Context(), q)
			if err != nil {
				return err
			}
			defer s.Close()
			switch {
			case c.json:
				return writeJSON(c.stdout, s.Build.Plan)
			case dot:
				return s.Build.Plan.WriteDOT(c.stdout)
			}
			return s.Build.Plan.WriteTree(c.stdout)
		},
	}
	f.addBuild(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&dot, "dot", false, "print the graph in the language of Graphviz")
	cmd.MarkFlagsMutuallyExclusive("json", "dot")
	return cmd
}
