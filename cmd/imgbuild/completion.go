package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes commands in a shell",
		Long: `Completion prints a script for a shell. Loaded there, it completes the verbs
and flags of imgbuild by the tabulator key.`,
		Example:               "  source <(imgbuild completion bash)\n  imgbuild completion zsh > \"${fpath[1]}/_imgbuild\"\n  imgbuild completion fish | source",
		ValidArgs:             []string{"bash", "zsh", "fish", "powershell"},
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.stdout, true)
			case "zsh":
				return root.GenZshCompletion(c.stdout)
			case "fish":
				return root.GenFishCompletion(c.stdout, true)
			}
			return root.GenPowerShellCompletionWithDesc(c.stdout)
		},
	}
}
