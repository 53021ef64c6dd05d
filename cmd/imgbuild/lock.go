package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages"
)

func (c *cli) lockCommand() *cobra.Command {
	var f recipeFlags
	cmd := &cobra.Command{
		Use:   "lock RECIPE",
		Short: "Pin every input of a recipe anew",
		Long: `Lock resolves packages and images to what is newest, digests the local files,
and writes it all to the lock file beside the recipe: hello.lock.json for
hello.yaml. A build refuses inputs that differ from the lock.`,
		Example: "  imgbuild lock hello.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := c.request(args[0], &f)
			if err != nil {
				return err
			}
			q.Pin = stages.PinAll
			s, err := stages.Open(cmd.Context(), q)
			if err != nil {
				return err
			}
			defer s.Close()
			if c.json {
				return writeJSON(c.stdout, s.Lock)
			}
			fmt.Fprintln(c.stdout, recipes.LockPath(args[0]))
			return nil
		},
	}
	f.add(cmd)
	c.jsonFlag(cmd)
	return cmd
}
