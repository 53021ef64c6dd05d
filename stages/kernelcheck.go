package stages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
)

const kindKernelCheck = "kernel check"

// kernelCheckParams are what the recipe asks of the kernel.
type kernelCheckParams struct {
	Targets []string          `json:"targets,omitempty"`
	Size    int64             `json:"size,omitempty"` // bytes at most; 0 is unbounded
	Symbols map[string]string `json:"symbols,omitempty"`
	// Modules says that an initramfs loads the kernel's modules.
	Modules bool `json:"modules,omitempty"`
}

// checkKernel adds the stage that compares the kernel with the recipe's targets
// and budgets, when it has any. It runs beside all that needs the kernel, so
// that a refusal comes early.
func (s *set) checkKernel(inputs []builder.Input) {
	r := s.Recipe.Recipe
	p := kernelCheckParams{
		Targets: r.Targets, Size: int64(r.Budgets.KernelSize), Symbols: r.Budgets.KernelSymbols, Modules: len(inputs) > 1,
	}
	if len(p.Targets) == 0 && p.Size == 0 && len(p.Symbols) == 0 {
		return
	}
	in := []builder.Input{inputs[0]}
	if r.Kernel.File == "" {
		in = append(in, from(StageKernel, "config"))
	}
	s.targets = append(s.targets, s.add(builder.Stage{
		Name:    "kernel check",
		Title:   "check the kernel against its targets and budgets",
		Kind:    kindKernelCheck,
		Version: 1,
		Inputs:  in,
	}, p))
}

// checkedKernel is the stage's report.
type checkedKernel struct {
	Version string `json:"version"`
	Size    int64  `json:"size"`
	Targets int    `json:"targets"`
	Symbols int    `json:"symbols"`
}

// compareKernel is the runner.
func (o Options) compareKernel(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[kernelCheckParams](w)
	if err != nil {
		return nil, err
	}
	file, err := readInput(ctx, w, "kernel")
	if err != nil {
		return nil, err
	}
	image, err := kernel.Identify(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	config, err := kernelConfig(ctx, w, image)
	if err != nil {
		return nil, err
	}
	if err := p.serves(image, config); err != nil {
		return nil, err
	}
	if err := p.keeps(int64(len(file)), config); err != nil {
		return nil, err
	}
	if config == nil && len(p.Targets) > 0 {
		w.Warn("the kernel carries no configuration (CONFIG_IKCONFIG): whether it has the drivers of its targets is unknown")
	}
	text, err := json.Marshal(checkedKernel{image.Version, int64(len(file)), len(p.Targets), len(p.Symbols)})
	if err != nil {
		return nil, err
	}
	report, err := putBytes(ctx, w.Store, append(text, '\n'), mediaTypeJSON)
	return builder.Outputs{"report": report}, err
}

// kernelConfig returns the configuration of the kernel: that which its stage
// kept, or the one in the file; nil when there is none.
func kernelConfig(ctx context.Context, w *builder.Work, image kernel.Image) (map[string]string, error) {
	if _, ok := w.Inputs["config"]; !ok {
		return image.Config, nil
	}
	text, err := readInput(ctx, w, "config")
	if err != nil || len(text) == 0 {
		return image.Config, err
	}
	return kernel.ParseConfig(bytes.NewReader(text))
}

// serves compares the kernel with the targets.
func (p kernelCheckParams) serves(image kernel.Image, config map[string]string) error {
	var errs []error
	var hints []string
	for _, name := range p.Targets {
		target, err := kernel.FindTarget(name)
		if err != nil {
			return err
		}
		for _, lack := range target.Lacks(image, config, p.Modules) {
			errs = append(errs, fmt.Errorf("%s needs %s", name, lack.Feature))
			if !slices.Contains(hints, lack.Remedy) {
				hints = append(hints, lack.Remedy)
			}
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.Input, fmt.Errorf("the kernel does not serve all targets of the recipe:\n%w", errors.Join(errs...)), hints...)
}

// keeps compares the kernel with the budgets.
func (p kernelCheckParams) keeps(size int64, config map[string]string) error {
	if config == nil && len(p.Symbols) > 0 {
		return fault.New(fault.Input, errors.New("budgets.kernelSymbols: the kernel carries no configuration to compare with"),
			"build it with CONFIG_IKCONFIG=y, or take the kernel from its package")
	}
	var errs []error
	if p.Size > 0 && size > p.Size {
		errs = append(errs, fmt.Errorf("budgets.kernelSize: the kernel has %d bytes, more than %d", size, p.Size))
	}
	for _, symbol := range slices.Sorted(maps.Keys(p.Symbols)) {
		want, got := p.Symbols[symbol], config[symbol]
		if got == "" {
			got = "n"
		}
		if want != got && `"`+want+`"` != got {
			errs = append(errs, fmt.Errorf("budgets.kernelSymbols: CONFIG_%s is %s, not %s", symbol, got, want))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.Check, errors.Join(errs...), "`imgbuild kernel explain SYMBOL` tells what asks for a symbol; the recipe's own fragments are kernel.universal.config")
}
