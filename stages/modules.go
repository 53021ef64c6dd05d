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
	"github.com/imgbuild/imgbuild/fault"
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
		inputs = append(inputs, from(s.references(jdk, app), "jar"))
	} else {
		p.List = jvm.Modules.List
	}
	return s.add(builder.Stage{
		Name:    "modules",
		Title:   "find the JDK modules of the app",
		Kind:    kindModules,
		Version: 3,
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
// the classes that are nowhere to be found.
func (o Options) jdeps(ctx context.Context, w *builder.Work, p modulesParams) ([]string, error) {
	jdk, err := o.openJDK(ctx, w)
	if err != nil {
		return nil, err
	}
	feature, err := jdk.feature()
	if err != nil {
		return nil, err
	}
	jar, err := readInput(ctx, w, "jar")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(w.Dir, "classes")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "all.jar"), jar, 0o644); err != nil {
		return nil, err
	}
	bind := sandbox.Bind{Source: dir, Target: "/.classes"}
	ask := func(ctx context.Context, out *string, options ...string) error {
		// A run this short is faster without the optimizing compiler.
		args := append(options, "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "--multi-release", strconv.Itoa(feature), "/.classes/all.jar")
		text, err := jdk.run(ctx, o, "jdeps", args, bind)
		*out = text
		return err
	}
	var modules, missing string
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ask(gctx, &modules, "--ignore-missing-deps", "--print-module-deps") })
	// By default jdeps keeps quiet about classes of the referring package.
	g.Go(func() error { return ask(gctx, &missing, "--missing-deps", "-filter:none") })
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
	return strings.Split(last, ","), nil
}

// jdk is a Java development kit that can be run in the sandbox.
type jdk struct {
	root string // the folder that is its root file system
	home string // its home inside that root
}

// openJDK unpacks the JDK of a stage and finds its home.
func (o Options) openJDK(ctx context.Context, w *builder.Work) (jdk, error) {
	root, err := w.Store.Tree(ctx, layers(w, "jdk")...)
	if err != nil {
		return jdk{}, err
	}
	return findJDK(root)
}

// findJDK looks for jlink where packages and images put JDKs.
func findJDK(root string) (jdk, error) {
	for _, pattern := range []string{"usr/lib/jvm/*", "opt/*", "opt/java/*", "usr/local/*", "usr/java/*", "jdk"} {
		homes, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, home := range homes {
			if _, err := os.Stat(filepath.Join(home, "bin", "jlink")); err != nil {
				continue
			}
			if _, err := os.Stat(filepath.Join(home, "jmods")); err != nil {
				continue
			}
			rel, err := filepath.Rel(root, home)
			if err != nil {
				return jdk{}, err
			}
			return jdk{root: root, home: "/" + rel}, nil
		}
	}
	return jdk{}, fault.New(fault.Input, fmt.Errorf("no JDK with jlink and jmods was found in what runtime.jvm.jdk names"),
		"name a package that holds a whole JDK, such as openjdk-17-jdk-headless")
}

// feature returns the feature release, such as 17, from the JDK's release file.
func (j jdk) feature() (int, error) {
	text, err := os.ReadFile(filepath.Join(j.root, j.home, "release"))
	if err != nil {
		return 0, fmt.Errorf("reading the release of the JDK: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "JAVA_VERSION="); ok {
			v, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(v), `"`), ".")
			return strconv.Atoi(v)
		}
	}
	return 0, fmt.Errorf("the release file of the JDK names no version")
}
