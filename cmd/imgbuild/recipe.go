package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

func (c *cli) recipeCommand() *cobra.Command {
	var f recipeFlags
	var resolved, schema bool
	cmd := &cobra.Command{
		Use:   "recipe [RECIPE]",
		Short: "Check a recipe, show it resolved, or print the schema",
		Long: `Recipe checks a recipe and prints nothing if it is right. With --resolved it
prints the recipe with every include, variable, override and default applied,
and where each value came from. With --schema it prints the JSON Schema that
editors use.`,
		Example: "  imgbuild recipe hello.yaml\n  imgbuild recipe --resolved hello.yaml\n  imgbuild recipe --schema > imgbuild.schema.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if schema {
				_, err := c.stdout.Write(recipes.Schema())
				return err
			}
			if len(args) != 1 {
				return fault.New(fault.Usage, fmt.Errorf("which recipe?"), "imgbuild recipe hello.yaml")
			}
			r, err := recipes.Resolve(recipes.Options{Path: args[0], Set: f.set})
			if err != nil {
				return err
			}
			switch {
			case c.json:
				return writeJSON(c.stdout, r)
			case resolved:
				return recipes.WriteResolved(c.stdout, r)
			}
			fmt.Fprintf(c.stderr, "%s is a valid recipe\n", args[0])
			return nil
		},
	}
	f.add(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&resolved, "resolved", false, "print the resolved recipe with the origin of each value")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of recipes")
	return cmd
}
