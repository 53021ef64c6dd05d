package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

func (c *cli) initCommand() *cobra.Command {
	var full, force bool
	var from string
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a starter recipe",
		Long: `Init writes a commented recipe to start from, imgbuild.yaml unless another file
is named. With --from it writes one of the ready recipes: ` + strings.Join(recipes.Builtins(), ", ") + `.`,
		Example: "  imgbuild init\n  imgbuild init --full shop.yaml\n  imgbuild init --from tomcat web.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "imgbuild.yaml"
			if len(args) > 0 {
				path = args[0]
			}
			text, err := starter(path, from, full)
			if err != nil {
				return err
			}
			if err := writeNew(path, text, force); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, path)
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "show every key there is")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	cmd.Flags().StringVar(&from, "from", "", "a ready recipe to start from")
	cmd.MarkFlagsMutuallyExclusive("full", "from")
	return cmd
}

// notInNames matches what an appliance's name may not hold.
var notInNames = regexp.MustCompile(`[^a-z0-9._-]+`)

func starter(path, from string, full bool) ([]byte, error) {
	if from != "" {
		text, err := recipes.Builtin(from)
		return text, fault.New(fault.Usage, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if name == "imgbuild" {
		name = filepath.Base(filepath.Dir(abs))
	}
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-._")
	if name == "" {
		name = "app"
	}
	return recipes.Starter(name, full), nil
}

// writeNew writes a file that must not exist yet, unless forced.
func writeNew(path string, text []byte, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Usage, fmt.Errorf("%s exists already", path), "--force replaces it")
	}
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the recipe: %w", err), "name a file in a folder that you may write")
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return fault.New(fault.Environment, err)
	}
	return f.Close()
}
