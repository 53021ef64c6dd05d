package stages

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/guest"
	"github.com/imgbuild/imgbuild/kernel/packaged"
	"github.com/imgbuild/imgbuild/stages/files"
)

const kindPackaged = "kernel package"

// moduleCD is the driver of CD drives.
const moduleCD = "sr_mod"

// packagedParams describe a kernel from packages: the name of a Debian package,
// which is an input, or RPM files.
type packagedParams struct {
	Package string      `json:"package,omitempty"`
	RPM     []localFile `json:"rpm,omitempty"`
	Root    string      `json:"root"`         // filesystem that the kernel must read
	Init    string      `json:"init"`         // digest of the guest's init
	CD      bool        `json:"cd,omitempty"` // OVF properties come on one
}

// packagedKernel adds the stage that takes a kernel out of its package and
// makes the initramfs that loads its modules.
func (s *set) packagedKernel() []builder.Input {
	r := s.Recipe.Recipe
	p := packagedParams{Package: r.Kernel.Package, Root: r.Disk.Root.Filesystem, Init: s.initDigest(), CD: len(r.OVF.Properties) > 0}
	st := builder.Stage{Name: StageKernel, Kind: kindPackaged, Version: 3}
	if p.Package != "" {
		st.Title = "take the kernel from " + p.Package
		st.Inputs = s.packages(p.Package, "package")
	} else {
		st.Title = fmt.Sprintf("take the kernel from %d RPM packages", len(r.Kernel.RPM))
		for _, path := range r.Kernel.RPM {
			p.RPM = append(p.RPM, *s.local(path))
		}
	}
	name := s.add(st, p)
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
	pkg, name, err := o.findKernel(ctx, w, p)
	if err != nil {
		return nil, err
	}
	wanted := packaged.DefaultModules()
	if p.CD {
		wanted = append(wanted, moduleCD)
	}
	closure, err := packaged.Resolve(ctx, pkg, wanted)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("kernel package %s: %w", name, err))
	}
	if slices.Contains(closure.Missing, p.Root) {
		return nil, fault.New(fault.Input, fmt.Errorf("the kernel of %s has no driver for an %s root", name, p.Root),
			"add the package that holds its modules, or choose another disk.root.filesystem: erofs, squashfs or ext4")
	}
	missing := slices.DeleteFunc(closure.Missing, func(m string) bool { return m == moduleCD })
	if len(missing) < len(closure.Missing) {
		w.Warn("the kernel of %s has no %s: OVF properties reach the app only where their CD is attached as a disk", name, moduleCD)
	}
	if len(missing) > 0 {
		w.Warn("the kernel of %s has no %s; it does not boot where they are needed", name, strings.Join(missing, ", "))
	}
	return o.putKernel(ctx, w, pkg, closure.Load)
}

// findKernel returns the kernel of the packages, and their names.
func (o Options) findKernel(ctx context.Context, w *builder.Work, p packagedParams) (packaged.Package, string, error) {
	var tree string
	name := p.Package
	if p.Package != "" {
		var err error
		if tree, err = w.Store.Tree(ctx, layers(w, "package")...); err != nil {
			return packaged.Package{}, "", err
		}
	} else {
		tree = filepath.Join(w.Dir, "rpm")
		names, err := o.unpackRPMs(ctx, p.RPM, tree)
		if err != nil {
			return packaged.Package{}, "", err
		}
		name = strings.Join(names, ", ")
	}
	pkg, err := packaged.Find(tree)
	if err != nil {
		return packaged.Package{}, "", fault.New(fault.Input, fmt.Errorf("kernel package %s: %w", name, err))
	}
	return pkg, name, nil
}

// unpackRPMs unpacks pinned RPM packages into a new folder.
func (o Options) unpackRPMs(ctx context.Context, packages []localFile, dir string) ([]string, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range packages {
		path := filepath.Join(o.Recipe.Dir, filepath.FromSlash(f.Path))
		sum, _, err := files.Digest(path)
		if err != nil {
			return nil, fault.New(fault.Input, err)
		}
		if sum != f.SHA256 {
			return nil, fault.New(fault.Input, fmt.Errorf("%s changed while the build ran", f.Path), "build again")
		}
		paths = append(paths, path)
	}
	return packaged.UnpackRPMs(ctx, paths, dir)
}

// putKernel stores the kernel, the initramfs with its modules, and its
// configuration.
func (o Options) putKernel(ctx context.Context, w *builder.Work, pkg packaged.Package, modules []packaged.Module) (builder.Outputs, error) {
	init, err := guest.Init()
	if err != nil {
		return nil, err
	}
	compression, err := pkg.Compression()
	if err != nil {
		return nil, err
	}
	initramfs, err := put(ctx, w.Store, mediaTypeInitramfs, func(out io.Writer) error {
		return packaged.Initramfs(ctx, out, packaged.Options{Package: pkg, Modules: modules, Init: init, Compression: compression})
	})
	if err != nil {
		return nil, err
	}
	image, err := putFile(ctx, w.Store, pkg.Kernel, mediaTypeKernel)
	if err != nil {
		return nil, err
	}
	// A package without a configuration gives an empty one.
	var text []byte
	if pkg.Config != "" {
		if text, err = os.ReadFile(pkg.Config); err != nil {
			return nil, err
		}
	}
	config, err := putBytes(ctx, w.Store, text, mediaTypeConfig)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"kernel": image, "initramfs": initramfs, "config": config}, nil
}
