package stages

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

// jdk is a Java development kit that can be run in the sandbox.
type jdk struct {
	root    string // the folder that is its root file system
	home    string // its home inside that root
	feature int    // its feature release, such as 17
}

// openJDK unpacks the JDK of a stage and finds its home.
func (o Options) openJDK(ctx context.Context, w *builder.Work) (jdk, error) {
	root, err := w.Store.Tree(ctx, layers(w, "jdk")...)
	if err != nil {
		return jdk{}, err
	}
	return findJDK(root)
}

// findJDK looks for jlink where packages and images put JDKs. Links that lead
// out of the root, which an image may have, are not followed.
func findJDK(dir string) (jdk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return jdk{}, err
	}
	defer root.Close()
	for _, pattern := range []string{"usr/lib/jvm/*", "opt/*", "opt/java/*", "usr/local/*", "usr/java/*", "jdk"} {
		homes, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return jdk{}, err
		}
		for _, home := range homes {
			if exists(root, home+"/bin/jlink") && exists(root, home+"/jmods") {
				feature, err := featureOf(root, home)
				return jdk{dir, "/" + home, feature}, err
			}
		}
	}
	return jdk{}, fault.New(fault.Input, fmt.Errorf("no JDK with jlink and jmods was found in what runtime.jvm.jdk names"),
		"name a package that holds a whole JDK, such as openjdk-17-jdk-headless")
}

func exists(root *os.Root, name string) bool {
	_, err := root.Stat(name)
	return err == nil
}

// featureOf returns the feature release from the release file of a JDK.
func featureOf(root *os.Root, home string) (int, error) {
	text, err := root.ReadFile(home + "/release")
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

// run runs a tool of the JDK and returns what it printed.
func (j jdk) run(ctx context.Context, o Options, tool string, args []string, binds ...sandbox.Bind) (string, error) {
	var log bytes.Buffer
	err := o.sandboxed(ctx, sandbox.Command{
		Root:   j.root,
		Args:   append([]string{j.home + "/bin/" + tool}, args...),
		Binds:  binds,
		Stdout: &log, Stderr: &log,
	})
	if err != nil {
		return "", fmt.Errorf("running %s: %w\n%s", tool, err, lastLines(log.String(), 8))
	}
	return log.String(), nil
}
