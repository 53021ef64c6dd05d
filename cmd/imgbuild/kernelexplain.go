package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/kconfig"
)

// asked is a fragment's line about a symbol.
type asked struct {
	Value    string `json:"value"`
	Fragment string `json:"fragment"`
	Line     int    `json:"line"`
	Why      string `json:"why,omitempty"` // the comment that the line stands below
	Replaced bool   `json:"replaced,omitempty"`
}

// explanation is all that is known of a symbol.
type explanation struct {
	Symbol     string               `json:"symbol"`
	Series     string               `json:"series"`
	Asked      []asked              `json:"asked"`
	Defined    []kconfig.Definition `json:"defined,omitempty"`
	SelectedBy []string             `json:"selectedBy,omitempty"`
}

func (c *cli) kernelExplainCommand() *cobra.Command {
	var f fragmentFlags
	var source string
	cmd := &cobra.Command{
		Use:   "explain SYMBOL [RECIPE]",
		Short: "Tell which fragment asks for a symbol, why, and what it depends on",
		Long: `Explain tells which fragments set a symbol, and the comment that each stands
below. With --source, the archive of a linux-source package or an unpacked
source, it also tells what the symbol is, what it depends on and what selects it.
A symbol that nothing asks for is off, unless one that is asked for selects it.`,
		Example: "  imgbuild kernel explain VIRTIO_BALLOON\n" +
			"  imgbuild kernel explain CONFIG_XEN_PV hello.yaml --source /usr/src/linux-source-6.12.tar.xz",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.explain(strings.TrimPrefix(args[0], "CONFIG_"), strings.Join(args[1:], ""))
			if err != nil {
				return err
			}
			if source != "" {
				if err := e.define(cmd.Context(), source); err != nil {
					return err
				}
			}
			if len(e.Asked) == 0 && len(e.Defined) == 0 {
				return e.unknown(source)
			}
			if c.json {
				return writeJSON(c.stdout, e)
			}
			return e.write(c.stdout)
		},
	}
	f.add(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringVar(&source, "source", "", "the kernel's source: a folder, or the archive of a linux-source package")
	return cmd
}

// explain collects what the fragments say. The last line that is not replaced
// counts.
func (f *fragmentFlags) explain(symbol, recipe string) (*explanation, error) {
	fragments, series, err := f.fragments(recipe)
	if err != nil {
		return nil, err
	}
	settings, err := kernel.Merge(fragments)
	if err != nil {
		return nil, err
	}
	final := "n"
	for _, s := range settings {
		if s.Symbol == symbol {
			final = s.Value
		}
	}
	e := &explanation{Symbol: symbol, Series: series, Asked: []asked{}}
	for _, fragment := range fragments {
		for _, s := range fragment.Settings {
			if s.Symbol == symbol {
				e.Asked = append(e.Asked, asked{s.Value, s.File, s.Line, fragment.Why(s.Line), s.Value != final})
			}
		}
	}
	return e, nil
}

// define reads the source.
func (e *explanation) define(ctx context.Context, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return fault.New(fault.Input, err, "apt-get install linux-source-"+e.Series+" brings /usr/src/linux-source-"+e.Series+".tar.xz")
	}
	if !info.IsDir() {
		dir, err := os.MkdirTemp("", "imgbuild-kconfig-")
		if err != nil {
			return fault.New(fault.Environment, err)
		}
		defer os.RemoveAll(dir)
		tar := exec.CommandContext(ctx, "tar", "--extract", "--file", source, "--directory", dir,
			"--strip-components=1", "--no-same-owner", "--wildcards", "*/Kconfig*")
		if out, err := tar.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.New(fault.Input, fmt.Errorf("unpacking %s: %w: %s", filepath.Base(source), err, out),
				"name the archive of a linux-source package, or an unpacked source")
		}
		source = dir
	}
	symbols, err := kconfig.Read(os.DirFS(source))
	if err != nil {
		return fault.New(fault.Input, err)
	}
	e.Defined, e.SelectedBy = symbols[e.Symbol], symbols.SelectedBy(e.Symbol)
	return nil
}

// unknown is the error for a symbol that nobody knows.
func (e *explanation) unknown(source string) error {
	if source != "" {
		return fault.New(fault.Usage, fmt.Errorf("no fragment asks for CONFIG_%s, and Linux %s does not have it", e.Symbol, e.Series),
			"symbols are renamed between series; `imgbuild kernel config` lists all that is asked for")
	}
	return fault.New(fault.Usage, fmt.Errorf("no fragment asks for CONFIG_%s", e.Symbol),
		"it is off, unless another symbol selects it: --source /usr/src/linux-source-"+e.Series+".tar.xz tells",
		"a recipe asks for more by kernel.universal.config")
}

// write prints the explanation for people.
func (e *explanation) write(w io.Writer) error {
	var b strings.Builder
	if len(e.Asked) == 0 {
		fmt.Fprintf(&b, "CONFIG_%s: no fragment asks for it\n", e.Symbol)
	}
	for _, a := range e.Asked {
		replaced := ""
		if a.Replaced {
			replaced = " (replaced below)"
		}
		fmt.Fprintf(&b, "CONFIG_%s=%s  %s:%d%s\n", e.Symbol, a.Value, a.Fragment, a.Line, replaced)
		if a.Why != "" {
			fmt.Fprintf(&b, "    %s\n", a.Why)
		}
	}
	for _, d := range e.Defined {
		fmt.Fprintf(&b, "\n%s:%d: %s", d.File, d.Line, d.Type)
		if d.Prompt != "" {
			fmt.Fprintf(&b, " %q", d.Prompt)
		}
		b.WriteByte('\n')
		for _, condition := range d.Depends {
			fmt.Fprintf(&b, "    depends on %s\n", condition)
		}
		for _, selected := range d.Selects {
			fmt.Fprintf(&b, "    selects %s\n", selected)
		}
		if d.Help != "" {
			fmt.Fprintf(&b, "\n    %s\n", strings.ReplaceAll(d.Help, "\n", "\n    "))
		}
	}
	for i, s := range e.SelectedBy {
		if i == 0 {
			b.WriteString("\nselected by\n")
		}
		fmt.Fprintf(&b, "    %s\n", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
