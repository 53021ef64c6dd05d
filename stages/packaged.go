package stages

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/guest"
	"github.com/imgbuild/imgbuild/kernel/packaged"
)

const kindPackaged = "kernel package"

// packagedParams describe a kernel from a package.
type packagedParams struct {
	Package string `json:"package"`
	Root    string `json:"root"` // filesystem that the kernel must read
	Init    string `json:"init"` // digest of the guest's init
}

// packagedKernel adds the stage that takes a kernel out of its package and
// makes the initramfs that loads its modules.
func (s *set) packagedKernel() []builder.Input {
	r := s.Recipe.Recipe
	name := s.add(builder.Stage{
		Name:    StageKernel,
		Title:   "take the kernel from " + r.Kernel.Package,
		Kind:    kindPackaged,
		Version: 1,
		Inputs:  s.packages(r.Kernel.Package, "package"),
	}, packagedParams{Package: r.Kernel.Package, Root: r.Disk.Root.Filesystem, Init: s.initDigest()})
	return []builder.Input{
		{Role: "kernel", Stage: name, Output: "kernel"},
		{Role: "initramfs", Stage: name, Output: "initramfs"},
	}
}

// unpackKernel is the runner.
func (o Options) unpackKernel(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[packagedParams](w)
	if err != nil {
		return nil, err
	}
	tree, err := w.Store.Tree(ctx, layers(w, "package")...)
	if err != nil {
		return nil, err
	}
	pkg, err := packaged.Find(tree)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("kernel package %s: %w", p.Package, err))
	}
	closure, err := packaged.Resolve(ctx, pkg, packaged.DefaultModules())
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("kernel package %s: %w", p.Package, err))
	}
	if len(closure.Missing) > 0 {
		w.Warn("the kernel of %s has no %s; it does not boot where they are needed", p.Package, strings.Join(closure.Missing, ", "))
	}
	init, err := guest.Init()
	if err != nil {
		return nil, err
	}
	initramfs, err := put(ctx, w.Store, mediaTypeInitramfs, func(out io.Writer) error {
		return packaged.Initramfs(ctx, out, packaged.Options{Package: pkg, Modules: closure.Load, Init: init, Compress: true})
	})
	if err != nil {
		return nil, err
	}
	image, err := putFile(ctx, w.Store, pkg.Kernel, mediaTypeKernel)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"kernel": image, "initramfs": initramfs}, nil
}
