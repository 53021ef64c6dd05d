package local_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/builder/store"
)

// The test binary runs itself as a build that can be killed: childEnv names the
// folder of the store, saltEnv is a parameter of every stage, and a line for
// each stage that ran is added to the file that runsEnv names.
const (
	childEnv = "LOCAL_TEST_STORE"
	saltEnv  = "LOCAL_TEST_SALT"
	runsEnv  = "LOCAL_TEST_RUNS"
)

func childMain(dir string) int {
	if err := childBuild(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childBuild(dir string) error {
	s, err := store.Open(dir, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := builder.NewPlan(childStages(os.Getenv(saltEnv)), []string{"last"})
	if err != nil {
		return err
	}
	e := local.New(s, map[string]builder.Runner{"layer": builder.RunnerFunc(runLayer)}, local.Options{Parallel: 2})
	results, err := e.Run(context.Background(), p)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(results["last"])
}

// childStages are three layers, two stages that each unpack two of them, and
// one that needs all.
func childStages(salt string) []builder.Stage {
	mk := func(name string, inputs ...string) builder.Stage {
		s := stage(name, fmt.Sprintf("%q", name+salt), inputs...)
		s.Kind = "layer"
		return s
	}
	return []builder.Stage{mk("a"), mk("b"), mk("c"), mk("ab", "a", "b"), mk("bc", "b", "c"), mk("last", "ab", "bc", "a")}
}

// runLayer unpacks its inputs and makes a layer that lists what is in them,
// with some ballast, in small pieces.
func runLayer(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	if err := noteRun(w.Stage.Name); err != nil {
		return nil, err
	}
	text := string(w.Stage.Params)
	var layers []ocispec.Descriptor
	for _, role := range slices.Sorted(maps.Keys(w.Inputs)) {
		layers = append(layers, w.Inputs[role])
	}
	if len(layers) > 0 {
		dir, err := w.Store.Tree(ctx, layers...)
		if err != nil {
			return nil, err
		}
		names, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range names {
			text += " " + e.Name()
		}
	}
	if err := os.WriteFile(filepath.Join(w.Dir, "scratch"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	bw, err := w.Store.Create(ctx, ocispec.MediaTypeImageLayer)
	if err != nil {
		return nil, err
	}
	defer bw.Close()
	for chunk := range slices.Chunk(layerBytes(text), 32<<10) {
		if _, err := bw.Write(chunk); err != nil {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
	desc, err := bw.Commit(ctx)
	return builder.Outputs{"out": desc}, err
}

// layerBytes is a layer of one file, which no other text has.
func layerBytes(text string) []byte {
	name := digest.FromString(text).Encoded()[:12]
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	body := strings.Repeat(text+"\n", 200_000/len(text))
	tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))})
	io.WriteString(tw, body)
	tw.Close()
	return buf.Bytes()
}

func noteRun(name string) error {
	f, err := os.OpenFile(os.Getenv(runsEnv), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(name + "\n")
	return errors.Join(err, f.Close())
}

// child prepares a build in a process of its own.
func child(t *testing.T, dir, salt, runs string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, saltEnv+"="+salt, runsEnv+"="+runs)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// TestKilled kills builds at random moments. A build after that makes what a
// build in a new store makes, and nothing unfinished remains.
func TestKilled(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	killed := 0
	for i := 0; killed < kills; i++ {
		if i > 10*kills {
			t.Fatalf("only %d of %d builds could be killed", killed, i)
		}
		cmd, out := child(t, dir, fmt.Sprint(i/3), runs)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		cmd.Process.Kill()
		err := cmd.Wait()
		var exit *exec.ExitError
		switch {
		case err == nil: // it was faster
		case errors.As(err, &exit) && !exit.Exited():
			killed++
		default:
			t.Fatalf("build %d: %v: %s", i, err, out)
		}
		checkWhole(t, dir)
	}
	var results []string
	for _, d := range []string{dir, t.TempDir()} {
		cmd, out := child(t, d, "0", runs)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		results = append(results, out.String())
		checkWhole(t, d)
		if hidden, _ := filepath.Glob(filepath.Join(d, "content", ".*")); len(hidden) > 0 {
			t.Errorf("left in the content store: %v", hidden)
		}
		for _, sub := range []string{"sessions", "locks", "content/ingest"} {
			if left, _ := os.ReadDir(filepath.Join(d, sub)); len(left) > 0 {
				t.Errorf("left in %s: %v", sub, left)
			}
		}
	}
	if results[0] != results[1] {
		t.Errorf("after kills:\n%s\nin a new store:\n%s", results[0], results[1])
	}
}

// checkWhole checks that all that is visible in a store is complete: artifacts
// have their digest, results can be read and refer to artifacts, and trees
// hold their layers.
func checkWhole(t *testing.T, dir string) {
	t.Helper()
	blobs := filepath.Join(dir, "content/blobs/sha256")
	each := func(sub string, fn func(path string) error) {
		t.Helper()
		entries, err := os.ReadDir(sub)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := fn(filepath.Join(sub, e.Name())); err != nil {
				t.Errorf("%s: %v", filepath.Join(sub, e.Name()), err)
			}
		}
	}
	each(blobs, func(path string) error {
		b, err := os.ReadFile(path)
		if err == nil && digest.FromBytes(b).Encoded() != filepath.Base(path) {
			err = errors.New("it has another digest")
		}
		return err
	})
	each(filepath.Join(dir, "results"), func(path string) error {
		var rec struct{ Outputs builder.Outputs }
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &rec)
		}
		if err == nil {
			_, err = os.Stat(filepath.Join(blobs, rec.Outputs["out"].Digest.Encoded()))
		}
		return err
	})
	each(filepath.Join(dir, "trees"), func(path string) error {
		var layers []ocispec.Descriptor
		b, err := os.ReadFile(filepath.Join(path, "layers.json"))
		if err == nil {
			err = json.Unmarshal(b, &layers)
		}
		files, _ := os.ReadDir(filepath.Join(path, "rootfs"))
		if err == nil && len(files) != len(layers) {
			err = fmt.Errorf("it has %d files of %d layers", len(files), len(layers))
		}
		return err
	})
}

// TestTwoBuilds builds the same in two processes at once: each stage runs once.
func TestTwoBuilds(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	var cmds []*exec.Cmd
	var outs []*bytes.Buffer
	for range 2 {
		cmd, out := child(t, dir, "same", runs)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, outs[i])
		}
	}
	if outs[0].String() != outs[1].String() {
		t.Errorf("the builds differ: %s and %s", outs[0], outs[1])
	}
	b, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(b))
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a", "ab", "b", "bc", "c", "last"}, got); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
}

// TestWaits holds the lock of a stage by another engine: the second waits, says
// so, and reuses what the first made.
func TestWaits(t *testing.T) {
	b := newBench(t)
	running, waiting := make(chan struct{}), make(chan struct{})
	b.runners["slow"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		close(running)
		<-waiting
		return put(ctx, w, "slow")
	})
	p, err := builder.NewPlan([]builder.Stage{{Name: "s", Kind: "slow"}}, []string{"s"})
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan error)
	go func() {
		_, err := local.New(b.store, b.runners, local.Options{}).Run(context.Background(), p)
		first <- err
	}()
	<-running
	var reused string
	opts := local.Options{Listener: func(ev builder.Event) {
		switch ev.Kind {
		case builder.Waiting:
			close(waiting)
		case builder.Cached:
			reused = ev.Reason
		}
	}}
	if _, err := local.New(b.store, b.runners, opts).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if reused != "another build has made it" {
		t.Errorf("reason %q", reused)
	}
}
