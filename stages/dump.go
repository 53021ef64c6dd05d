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
)

// mainFirst makes the JVM's helpers, such as the finalizer, wait for the main
// thread when they share a processor: what the threads load while the JVM starts
// is in the archive in the order of loading. To give way takes no privileges.
var mainFirst = []string{"-XX:+IgnoreUnrecognizedVMOptions", "-XX:ThreadPriorityPolicy=1",
	"-XX:JavaPriority8_To_OSPriority=19", "-XX:JavaPriority9_To_OSPriority=19", "-XX:JavaPriority10_To_OSPriority=19"}

// maxDumps bounds the tries of dumpTwice. One dump in twenty differs, on a
// busy machine.
const maxDumps = 6

// dumpTwice dumps until two archives are the same, pointers left aside: the main
// thread may still be interrupted by another program at a moment that lets a
// helper pass, and each such dump is another one.
func (o Options) dumpTwice(ctx context.Context, w *builder.Work, dump sandbox.Command, archive string) error {
	var earlier []string
	for i := range maxDumps {
		if err := os.Remove(archive); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := o.runJava(ctx, dump); err != nil {
			return err
		}
		for _, other := range earlier {
			if same, err := settle(archive, other); same || err != nil {
				return err
			}
		}
		kept := filepath.Join(w.Dir, fmt.Sprintf("dump-%d", i))
		if err := os.Rename(archive, kept); err != nil {
			return err
		}
		earlier = append(earlier, kept)
	}
	w.Warn("this Java makes a different class archive each time; two builds of the appliance will differ")
	return os.Rename(earlier[0], archive)
}

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
