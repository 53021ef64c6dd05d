package stages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/stages/cds"
	"github.com/imgbuild/imgbuild/stages/sandbox"
	"golang.org/x/sync/errgroup"
)

// mainFirst makes the JVM's helpers, such as the finalizer, wait for the main
// thread when they share a processor: what the threads load while the JVM starts
// is in the archive in the order of loading. To give way takes no privileges.
// The thread that writes the archive loads nothing and must not give way: on a
// processor that others use it would take minutes.
var mainFirst = []string{"-XX:+IgnoreUnrecognizedVMOptions", "-XX:ThreadPriorityPolicy=1", "-XX:VMThreadPriority=0",
	"-XX:JavaPriority8_To_OSPriority=19", "-XX:JavaPriority9_To_OSPriority=19", "-XX:JavaPriority10_To_OSPriority=19"}

// maxDumps bounds the tries of dumpTwice. One dump in twenty differs, on a
// busy machine.
const maxDumps = 6

// dumpTwice dumps until two archives are the same, pointers left aside, and
// returns the folder of one: the main thread may still be interrupted by another
// program at a moment that lets a helper pass, and each such dump is another
// one. The first two are made at the same time, on a processor each.
func (o Options) dumpTwice(ctx context.Context, w *builder.Work, dump sandbox.Command, list []byte) (dir string, err error) {
	dirs := make([]string, maxDumps)
	for i := range dirs {
		dirs[i] = filepath.Join(w.Dir, fmt.Sprintf("dump-%d", i))
	}
	made := 0
	for made < maxDumps {
		next := dirs[made:max(2, made+1)]
		dumps, dumping := errgroup.WithContext(ctx)
		for i, dir := range next {
			dumps.Go(func() error { return o.dumpInto(dumping, dir, i+1, dump, list) })
		}
		if err := dumps.Wait(); err != nil {
			return "", err
		}
		made += len(next)
		last := dirs[made-1]
		for _, other := range dirs[:made-1] {
			if same, err := settle(archiveIn(last), archiveIn(other)); same || err != nil {
				return last, err
			}
		}
	}
	w.Warn("this Java makes a different class archive each time; two builds of the appliance will differ")
	return dirs[0], nil
}

// dumpInto makes the folder and dumps an archive of the classes on the list
// there, on the processor with that number.
func (o Options) dumpInto(ctx context.Context, dir string, cpu int, dump sandbox.Command, list []byte) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o777); err != nil { // whatever the umask
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "classes"), list, 0o644); err != nil {
		return err
	}
	dump.CPU = cpu
	dump.Binds = []sandbox.Bind{{Source: dir, Target: "/.dump", Write: true}}
	_, err := o.runJava(ctx, dump)
	return err
}

// archiveIn is the archive in a folder of dumpInto.
func archiveIn(dir string) string { return filepath.Join(dir, "classes.jsa") }

// settle reports whether two archives are the same once the pointers in them are
// zero, and makes them so in the first.
func settle(archive, other string) (bool, error) {
	a, err := os.ReadFile(archive)
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(other)
	if err != nil {
		return false, err
	}
	if bytes.Equal(a, b) {
		return true, nil
	}
	if !cds.Settle(a, b) {
		return false, nil
	}
	if err := os.Remove(archive); err != nil { // the JVM made it read-only
		return false, err
	}
	return true, os.WriteFile(archive, a, 0o444)
}
