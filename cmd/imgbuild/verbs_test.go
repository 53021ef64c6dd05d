package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelp asks every verb for help: it is a text of its own on stdout, with
// examples that the very verb understands.
func TestHelp(t *testing.T) {
	for _, cmd := range verbs(newRoot()) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("its one line is %q", cmd.Short)
			}
			if cmd.RunE == nil || cmd.Args == nil {
				t.Error("it does not check its arguments, or cannot fail")
			}
			examples := strings.Split(cmd.Example, "\n")
			for _, line := range examples {
				checkExample(t, cmd, line)
			}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Usage == "" || strings.ToLower(f.Name) != f.Name || strings.Contains(f.Name, "_") {
					t.Errorf("flag --%s: %q", f.Name, f.Usage)
				}
			})
		})
	}
}

// newRoot is a command line that has not been used.
func newRoot() *cobra.Command {
	return (&cli{stdout: os.Stdout, stderr: os.Stderr}).root()
}

// verbs are a command and all below it.
func verbs(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		list = append(list, verbs(sub)...)
	}
	return list
}

// checkExample parses an example as the shell and cobra would.
func checkExample(t *testing.T, cmd *cobra.Command, line string) {
	t.Helper()
	line = strings.TrimSuffix(strings.TrimSpace(line), ")")
	_, line, ok := strings.Cut(line, "imgbuild ")
	if !ok {
		t.Errorf("the example %q does not show imgbuild", line)
		return
	}
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	root := newRoot()
	found, args, err := root.Find(strings.Fields(line))
	if err != nil {
		t.Errorf("example %q: %v", line, err)
		return
	}
	// The root's examples are of the verbs below it.
	if cmd.HasParent() && found.CommandPath() != cmd.CommandPath() && !strings.HasPrefix(found.CommandPath(), cmd.CommandPath()+" ") {
		t.Errorf("the example %q is one of %s", line, found.CommandPath())
	}
	if err := found.ParseFlags(args); err != nil {
		t.Errorf("example %q: %v", line, err)
	}
	if err := found.Args(found, found.Flags().Args()); err != nil {
		t.Errorf("example %q: %v", line, err)
	}
	if err := found.ValidateFlagGroups(); err != nil {
		t.Errorf("example %q: %v", line, err)
	}
}
