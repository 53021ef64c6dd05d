package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) testCommand() *cobra.Command {
	return &cobra.Command{Use: "test", RunE: func(cmd *cobra.Command, args []string) error { return c.test(cmd.Context()) }}
}

func (c *cli) test(context.Context) error { return nil }

func (c *cli) inspectCommand() *cobra.Command { return &cobra.Command{Use: "inspect"} }
