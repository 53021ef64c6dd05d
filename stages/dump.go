package stages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

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

// maxDumps bounds the tries of dumpAlike. One dump in twenty differs, on a busy
// machine.
const maxDumps = 8

// dumpAlike dumps until some archives are the same, pointers left aside, and
// returns the folder of one: the main thread may still be interrupted by another
// program at a moment that lets a helper pass, and such a dump is another one.
// The first two are made at the same time, on a processor each. They are enough,
// unless others use the processors too: what disturbs one may disturb both, and
// a third must agree.
func (o Options) dumpAlike(ctx context.Context, w *builder.Work, dump sandbox.Command, list []byte) (dir string, err error) {
	var dirs []string
	enough := 2
	if machineBusy() {
		enough++
	}
	for len(dirs) < maxDumps {
		first := len(dirs)
		for range max(1, 2-first) {
			dirs = append(dirs, filepath.Join(w.Dir, fmt.Sprintf("dump-%d", len(dirs))))
		}
		dumps, dumping := errgroup.WithContext(ctx)
		for i, dir := range dirs[first:] {
			dumps.Go(func() error { return o.dumpInto(dumping, dir, i+1, dump, list) })
		}
		if err := dumps.Wait(); err != nil {
			return "", err
		}
		last := dirs[len(dirs)-1]
		settled, alike, err := settle(last, dirs[:len(dirs)-1])
		if err != nil {
			return "", err
		}
		if alike+1 >= enough {
			return last, replace(archiveIn(last), settled)
		}
	}
	w.Warn("this Java makes a different class archive each time; two builds of the appliance will differ")
	return dirs[0], nil
}

// machineBusy reports whether more programs wanted the processors in the last
// minute than there are (proc_loadavg(5)). What cannot be read counts as idle.
func machineBusy() bool {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	var load float64
	_, err = fmt.Sscan(string(text), &load)
	return err == nil && load > float64(runtime.NumCPU())
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

// settle returns the archive in dir with the pointers zero by which it differs
// from the first in the other folders that is alike, and how many are.
func settle(dir string, others []string) (settled []byte, alike int, err error) {
	archive, err := os.ReadFile(archiveIn(dir))
	if err != nil {
		return nil, 0, err
	}
	settled = archive
	for _, other := range others {
		b, err := os.ReadFile(archiveIn(other))
		if err != nil {
			return nil, 0, err
		}
		a := bytes.Clone(archive)
		if !bytes.Equal(a, b) && !cds.Settle(a, b) {
			continue
		}
		if alike++; alike == 1 {
			settled = a
		}
	}
	return settled, alike, nil
}

// replace gives a file, which the JVM made read-only, another content.
func replace(path string, content []byte) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o444)
}
