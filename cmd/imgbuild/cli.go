package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/builder/view"
	"github.com/imgbuild/imgbuild/fault"
)

// cli is what all verbs share: where to write, and the global flags.
type cli struct {
	stdout, stderr *os.File

	cacheDir string
	logLevel string
	progress string
	json     bool
}

// execute runs a command line and returns the exit code.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	kind := fault.KindOf(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		kind = fault.Interrupted
	}
	var said reported
	if !errors.As(err, &said) {
		c.printError(err, kind)
	}
	return int(kind)
}

// reported is an error that the user has already been shown.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

// printError writes an error and what to do about it.
func (c *cli) printError(err error, kind fault.Kind) {
	if c.progress == "json" {
		json.NewEncoder(c.stderr).Encode(map[string]any{
			"event": "error", "error": err.Error(), "hints": fault.HintsOf(err), "code": int(kind),
		})
		return
	}
	text := strings.TrimRight(err.Error(), "\n")
	if kind == fault.Interrupted {
		text = "interrupted"
	}
	fmt.Fprintf(c.stderr, "imgbuild: %s\n", view.Clean(text))
	for _, hint := range fault.HintsOf(err) {
		fmt.Fprintf(c.stderr, "  hint: %s\n", view.Clean(hint))
	}
}

// root assembles the verbs.
func (c *cli) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "imgbuild",
		Short:         "Build appliances: a jar goes in, a scrubbed and bootable disk comes out",
		Example:       "  imgbuild init hello.yaml\n  imgbuild build hello.yaml\n  imgbuild run out/hello.qcow2",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.cacheDir, "cache-dir", "", "folder of the cache (default $IMGBUILD_CACHE_DIR or the user's cache folder)")
	flags.StringVar(&c.logLevel, "log-level", envOr("IMGBUILD_LOG_LEVEL", "warn"), "trace, debug, info, warn or error")
	flags.StringVar(&c.progress, "progress", envOr("IMGBUILD_PROGRESS", "auto"), "auto, tty, plain, json or none")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		store.RouteLogs(c.logger())
		return c.checkFlags(cmd)
	}
	cmd.CompletionOptions.DisableDefaultCmd = true // it has no example
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, err, "`"+cmd.CommandPath()+" --help` lists the flags")
	})
	cmd.AddCommand(
		c.buildCommand(), c.runCommand(), c.testCommand(), c.inspectCommand(), c.auditCommand(),
		c.psCommand(), c.logsCommand(), c.stopCommand(),
		c.convertCommand(), c.diffCommand(), c.lintCommand(), c.pushCommand(),
		c.sanitizeCommand(), c.planCommand(), c.lockCommand(), c.initCommand(), c.recipeCommand(),
		c.kernelCommand(), c.cacheCommand(), c.versionCommand(), c.completionCommand(),
	)
	usageErrors(cmd)
	return cmd
}

// usageErrors makes wrong arguments of every verb a usage fault.
func usageErrors(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		err := check(cmd, args)
		if err != nil && !cmd.HasSubCommands() && (len(cmd.ValidArgs) == 0 || len(args) == 0) {
			err = fmt.Errorf("%d arguments given, wanted is `%s`", len(args), cmd.UseLine())
		}
		return fault.New(fault.Usage, err, "`"+cmd.CommandPath()+" --help` shows how it is used")
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// checkFlags checks what several flags say, and the values that all verbs share.
func (c *cli) checkFlags(cmd *cobra.Command) error {
	if !slices.Contains(view.Modes(), view.Mode(c.progress)) {
		return fault.New(fault.Usage, fmt.Errorf("--progress: there is no mode %q", c.progress), "choose auto, tty, plain, json or none")
	}
	if hclog.LevelFromString(c.logLevel) == hclog.NoLevel {
		return fault.New(fault.Usage, fmt.Errorf("--log-level: there is no level %q", c.logLevel), "choose trace, debug, info, warn or error")
	}
	return fault.New(fault.Usage, cmd.ValidateFlagGroups(), "`"+cmd.CommandPath()+" --help` lists the flags")
}

// envOr returns an environment variable, or a default when it is empty.
func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}

// logger returns the logger that the flags ask for; it writes to stderr.
func (c *cli) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "imgbuild",
		Level:      hclog.LevelFromString(c.logLevel),
		Output:     c.stderr,
		JSONFormat: c.progress == "json",
	})
}

// cache returns the folder of the cache.
func (c *cli) cache() (string, error) {
	if c.cacheDir != "" {
		return c.cacheDir, nil
	}
	dir, err := store.DefaultDir()
	return dir, fault.New(fault.Environment, err, "name a folder with --cache-dir")
}

// writeJSON prints a result for machines.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// jsonFlag adds --json to a verb.
func (c *cli) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.json, "json", false, "print the result as JSON")
}
