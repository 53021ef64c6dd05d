package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
is named. With --from it writes one of the ready recipes, and beside it the
files that this recipe reads: ` + strings.Join(recipes.Builtins(), ", ") + `.`,
		Example: "  imgbuild init\n  imgbuild init --full shop.yaml\n  imgbuild init --from tomcat web.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "imgbuild.yaml"
			if len(args) > 0 {
				path = args[0]
			}
			files, err := starter(path, from, full)
			if err != nil {
				return err
			}
			if err := writeNew(files, force); err != nil {
				return err
			}
			for _, f := range files {
				fmt.Fprintln(c.stdout, f.path)
			}
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

// newFile is a file that is about to be written.
type newFile struct {
	path string
	text []byte
}

// starter returns a recipe to start from, and the files that it reads.
func starter(path, from string, full bool) ([]newFile, error) {
	if from != "" {
		return ready(path, from)
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
	return []newFile{{path, recipes.Starter(name, full)}}, nil
}

// ready returns a recipe that comes with the program.
func ready(path, name string) ([]newFile, error) {
	text, err := recipes.Builtin(name)
	if err != nil {
		return nil, err
	}
	beside, err := recipes.BuiltinFiles(name)
	if err != nil {
		return nil, err
	}
	files := []newFile{{path, text}}
	for _, p := range slices.Sorted(maps.Keys(beside)) {
		files = append(files, newFile{filepath.Join(filepath.Dir(path), filepath.FromSlash(p)), beside[p]})
	}
	return files, nil
}

// writeNew writes files that must not exist yet, unless forced. When one does,
// none is written.
func writeNew(files []newFile, force bool) error {
	for _, f := range files {
		if _, err := os.Lstat(f.path); err == nil && !force {
			return errExists(f.path)
		}
	}
	for i, f := range files {
		if i > 0 { // the folder of the recipe itself is the user's
			if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
				return fault.New(fault.Environment, err)
			}
		}
		if err := f.write(force); err != nil {
			return err
		}
	}
	return nil
}

func (f newFile) write(force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	out, err := os.OpenFile(f.path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return errExists(f.path)
	}
	if err != nil {
		return fault.New(fault.Environment, err, "name a file in a folder that is there and may be written to")
	}
	if _, err := out.Write(f.text); err != nil {
		out.Close()
		return fault.New(fault.Environment, err, "make room on the disk")
	}
	return out.Close()
}

func errExists(path string) error {
	return fault.New(fault.Usage, fmt.Errorf("%s exists already", path), "--force replaces it")
}
