package stages

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/opencontainers/go-digest"
)

const kindUniversal = "kernel universal"

// universalParams describe a kernel built from source. Fragments holds their
// digests: the built-in ones travel with the program, the user's are pinned.
type universalParams struct {
	Series    string      `json:"series"`
	Fragments []string    `json:"fragments"`
	Own       []localFile `json:"own,omitempty"`
	Compiler  string      `json:"compiler"`
}

// kernel adds the stage that provides the kernel, and returns its outputs with
// the roles that the boot partition reads: kernel, and initramfs if there is
// one.
func (s *set) kernel() []builder.Input {
	k := s.Recipe.Recipe.Kernel
	switch {
	case k.File != "":
		return s.ownKernel()
	case k.Package != "", len(k.RPM) > 0:
		return s.packagedKernel()
	}
	p := universalParams{Series: k.Universal.Series}
	fragments, err := kernel.Fragments(p.Series)
	s.fail(err)
	for _, f := range fragments {
		p.Fragments = append(p.Fragments, f.Name+" "+digest.FromString(fmt.Sprint(f.Settings)).String())
	}
	for _, path := range k.Universal.Config {
		p.Own = append(p.Own, *s.local(path))
	}
	// What is wrong with the user's fragments shows before anything is fetched.
	all, err := s.fragments(p)
	s.fail(err)
	_, err = kernel.Merge(all)
	s.fail(err)
	p.Compiler = s.compiler()
	name := s.add(builder.Stage{
		Name:    StageKernel,
		Title:   "build the universal kernel, Linux " + p.Series,
		Kind:    kindUniversal,
		Version: 1,
		Inputs:  s.packages(sourceGroup(p.Series), "source"),
	}, p)
	return []builder.Input{{Role: "kernel", Stage: name, Output: "kernel"}}
}

// compiler names the programs that would make the kernel. Without them a
// finished one cannot be found by its key either: which would have made it is
// unknown.
func (s *set) compiler() string {
	missing := kernel.MissingTools(s.ctx)
	for _, m := range missing {
		s.lacking[cmp.Or(m.Program, m.Header)] = lack{fault.New(fault.Environment, m.Err, install(m.Package)), m.Package}
	}
	if len(missing) > 0 {
		return ""
	}
	id, err := kernel.CompilerID(s.ctx)
	s.fail(err)
	return id
}

// fail keeps the first error of planning.
func (s *set) fail(err error) {
	if err != nil && s.err == nil {
		s.err = err
	}
}

// buildKernel is the runner of the universal kernel.
func (o Options) buildKernel(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[universalParams](w)
	if err != nil {
		return nil, err
	}
	tree, err := w.Store.Tree(ctx, layers(w, "source")...)
	if err != nil {
		return nil, err
	}
	sources, err := filepath.Glob(filepath.Join(tree, "usr/src/linux-source-*.tar.xz"))
	if err != nil || len(sources) != 1 {
		return nil, fmt.Errorf("the kernel's package holds %d source archives, expected one", len(sources))
	}
	fragments, err := o.fragments(p)
	if err != nil {
		return nil, err
	}
	built, err := kernel.Build(ctx, kernel.Options{
		Source:    sources[0],
		Series:    p.Series,
		Fragments: fragments,
		WorkDir:   w.Dir,
		Jobs:      o.Jobs,
		CCache:    true,
		Log:       w.Log,
		Progress:  func(done, total int64) { w.Progress(done, total, builder.Steps) },
	})
	if err != nil {
		return nil, err
	}
	image, err := putFile(ctx, w.Store, built.BzImage, mediaTypeKernel)
	if err != nil {
		return nil, err
	}
	conf, err := putFile(ctx, w.Store, built.Config, mediaTypeConfig)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"kernel": image, "config": conf}, nil
}

// fragments reads the built-in fragments and the user's.
func (o Options) fragments(p universalParams) ([]kernel.Fragment, error) {
	fragments, err := kernel.Fragments(p.Series)
	if err != nil {
		return nil, err
	}
	for _, own := range p.Own {
		f, err := os.Open(filepath.Join(o.Recipe.Dir, filepath.FromSlash(own.Path)))
		if err != nil {
			return nil, fault.New(fault.Input, err)
		}
		fragment, err := kernel.ParseFragment(own.Path, f)
		f.Close()
		if err != nil {
			return nil, fault.New(fault.Recipe, err)
		}
		fragments = append(fragments, fragment)
	}
	return fragments, nil
}

const kindOwnKernel = "kernel file"

// ownKernelParams describe the user's kernel.
type ownKernelParams struct {
	File localFile `json:"file"`
	// Targets are those of the recipe. What a file of theirs lacks is told
	// before anything is made of it.
	Targets []string `json:"targets,omitempty"`
}

// ownKernel adds the stage that takes the user's kernel.
func (s *set) ownKernel() []builder.Input {
	r := s.Recipe.Recipe
	name := s.add(builder.Stage{
		Name:    StageKernel,
		Title:   "take the kernel file",
		Kind:    kindOwnKernel,
		Version: 2,
	}, ownKernelParams{File: *s.local(r.Kernel.File), Targets: r.Targets})
	return []builder.Input{{Role: "kernel", Stage: name, Output: "kernel"}}
}

// takeELF reports whether targets are named that all take an ELF.
func takeELF(targets []string) bool {
	for _, name := range targets {
		t, err := kernel.FindTarget(name)
		if err != nil || len(t.Formats) > 0 && !slices.Contains(t.Formats, kernel.ELF) {
			return false
		}
	}
	return len(targets) > 0
}

// takeKernel is the runner of the user's kernel. The disk's boot loaders for
// BIOS and UEFI take a bzImage and nothing else.
func (o Options) takeKernel(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[ownKernelParams](w)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(o.Recipe.Dir, filepath.FromSlash(p.File.Path))
	f, size, err := openSized(path)
	if err != nil {
		return nil, fault.New(fault.Input, err)
	}
	defer f.Close()
	image, err := kernel.Identify(f, size)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("%s is no kernel that can be booted: %w", p.File.Path, err))
	}
	if image.Format != kernel.BzImage && !takeELF(p.Targets) {
		return nil, fault.New(fault.Input, fmt.Errorf("%s is an %s kernel; a disk boots a bzImage", p.File.Path, image.Format),
			"give the arch/x86/boot/bzImage of the same build",
			"an ELF serves where it is loaded directly, and Xen PV: name such targets only, as in targets: [pvh, xen-pv]")
	}
	if err := (kernelCheckParams{Targets: p.Targets}).serves(image, image.Config); err != nil {
		return nil, err
	}
	desc, err := putFile(ctx, w.Store, path, mediaTypeKernel)
	if err != nil {
		return nil, err
	}
	if desc.Digest.Encoded() != p.File.SHA256 {
		return nil, fault.New(fault.Input, fmt.Errorf("%s changed while the build ran", p.File.Path), "build again")
	}
	return builder.Outputs{"kernel": desc}, nil
}
