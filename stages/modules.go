package stages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/stages/sandbox"
	"golang.org/x/sync/errgroup"
)

const kindModules = "modules"

// modulesParams say which modules of the JDK the app needs.
type modulesParams struct {
	List    []string `json:"list,omitempty"`    // given; jdeps is not asked
	Add     []string `json:"add,omitempty"`     // beside what jdeps finds
	Missing []string `json:"missing,omitempty"` // patterns of classes that may be missing
}

// modules adds the stage that finds the JDK modules of the app.
func (s *set) modules(jdk []builder.Input, app string) string {
	jvm := s.Recipe.Recipe.Runtime.JVM
	p := modulesParams{Add: jvm.AddModules, Missing: s.Recipe.Recipe.App.Missing}
	inputs := append([]builder.Input{}, jdk...)
	if jvm.Modules.Auto {
		references := s.references(jdk, app)
		inputs = append(inputs, from(references, "jar"), from(references, "nested"))
	} else {
		p.List = jvm.Modules.List
	}
	return s.add(builder.Stage{
		Name:    "modules",
		Title:   "find the JDK modules of the app",
		Kind:    kindModules,
		Version: 5,
		Inputs:  inputs,
	}, p)
}

// findModules is the runner: jdeps reads stubs of the app's classes inside
// the sandbox.
func (o Options) findModules(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[modulesParams](w)
	if err != nil {
		return nil, err
	}
	names := p.List
	if len(names) == 0 {
		if names, err = o.jdeps(ctx, w, p); err != nil {
			return nil, err
		}
	}
	names = append(slices.Clone(names), p.Add...)
	if !slices.Contains(names, "java.base") {
		names = append(names, "java.base")
	}
	slices.Sort(names)
	names = slices.Compact(names)
	desc, err := putBytes(ctx, w.Store, []byte(strings.Join(names, "\n")+"\n"), mediaTypeText)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"modules": desc}, nil
}

// jdeps asks the JDK's own tool twice, side by side: for the modules, and for
// the classes that are nowhere to be found. Modules that only offer services are
// added.
func (o Options) jdeps(ctx context.Context, w *builder.Work, p modulesParams) ([]string, error) {
	jdk, err := o.openJDK(ctx, w)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(w.Dir, "classes")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"jar", "nested"} {
		stubs, err := readInput(ctx, w, name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name+".jar"), stubs, 0o644); err != nil {
			return nil, err
		}
	}
	const app, nested = "/.classes/jar.jar", "/.classes/nested.jar"
	bind := sandbox.Bind{Source: dir, Target: "/.classes"}
	ask := func(ctx context.Context, out *string, options ...string) error {
		// A run this short is faster without the optimizing compiler.
		args := append([]string{"-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "--multi-release", strconv.Itoa(jdk.feature)}, options...)
		text, err := jdk.run(ctx, o, "jdeps", args, bind)
		*out = text
		return err
	}
	var modules, missing string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ask(gctx, &modules, "--ignore-missing-deps", "--print-module-deps", app, nested) })
	// By default jdeps keeps quiet about classes of the referring package.
	g.Go(func() error { return ask(gctx, &missing, "--missing-deps", "-filter:none", "-cp", nested, app) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if lacking := missingClasses(missing, p.Missing); len(lacking) > 0 {
		return nil, errMissing(lacking)
	}
	last := lastLines(modules, 1)
	if last == "" || strings.ContainsAny(last, " \t") {
		return nil, fmt.Errorf("jdeps named no modules:\n%s", lastLines(modules, 12))
	}
	offered, err := jdk.providersFor(filepath.Join(dir, "jar.jar"), filepath.Join(dir, "nested.jar"))
	return append(strings.Split(last, ","), offered...), err
}
