package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
)

func TestMain(m *testing.M) {
	store.RouteLogs(hclog.NewNullLogger())
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(childMain(dir))
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a"), stage("c", `"C"`, "a", "b")}
	got, err := b.run(stages, "c")
	if err != nil {
		t.Fatal(err)
	}
	want := `"C" a=("A") b=("B" a=("A"))`
	if text := b.read(got["c"]["out"]); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, b.concat.take()); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "never built", "b": "never built", "c": "never built"}, b.reasons(builder.Started)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}

	// The second time only the target is looked at.
	if _, err := b.run(stages, "c"); err != nil {
		t.Fatal(err)
	}
	if runs := b.concat.take(); len(runs) > 0 {
		t.Errorf("ran again: %v", runs)
	}
	for _, ev := range b.events {
		if ev.Stage != "c" {
			t.Errorf("an event of %s, which was not needed: %s", ev.Stage, ev.Kind)
		}
	}
}

// TestFailure checks that the first error is kept with its kind, that others
// are stopped, and that nothing is left in the scratch folder.
func TestFailure(t *testing.T) {
	b := newBench(t)
	b.opts.Parallel = 2
	stopped := make(chan struct{})
	waiting := make(chan struct{})
	b.runners["wait"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		close(waiting)
		<-ctx.Done()
		close(stopped)
		return nil, errors.New("killed")
	})
	b.runners["fail"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		<-waiting
		return nil, fault.New(fault.Input, errors.New("checksum differs"), "run `imgbuild lock`")
	})
	_, err := b.run([]builder.Stage{
		{Name: "slow", Kind: "wait"}, {Name: "bad", Kind: "fail"},
		stage("never", `""`, "bad"),
	}, "slow", "never")
	<-stopped
	if err == nil || err.Error() != "stage bad: checksum differs" {
		t.Fatalf("error %v", err)
	}
	if fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) != 1 {
		t.Errorf("kind %v, hints %q", fault.KindOf(err), fault.HintsOf(err))
	}
	if b.concat.take() != nil {
		t.Error("a stage ran after the failure of its input")
	}
	failed := 0
	for _, ev := range b.events {
		if ev.Kind == builder.Failed {
			failed++
			if ev.Stage != "bad" || ev.Code != 4 || len(ev.Hints) != 1 {
				t.Errorf("event %+v", ev)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d failures were told", failed)
	}
	left, err := filepath.Glob(filepath.Join(b.store.Dir(), "sessions", "*", "*-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("scratch folders are left: %v %v", left, err)
	}
}

func TestPanic(t *testing.T) {
	b := newBench(t)
	b.runners["panic"] = builder.RunnerFunc(func(context.Context, *builder.Work) (builder.Outputs, error) {
		var none []string
		return nil, errors.New(none[0])
	})
	_, err := b.run([]builder.Stage{{Name: "boom", Kind: "panic"}}, "boom")
	if err == nil || !strings.HasPrefix(err.Error(), "stage boom: ") || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("error %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.runners["wait"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		cancel()
		<-ctx.Done()
		return nil, errors.New("signal: killed")
	})
	p, err := builder.NewPlan([]builder.Stage{{Name: "slow", Kind: "wait"}}, []string{"slow"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = local.New(b.store, b.runners, b.opts).Run(ctx, p)
	if fault.KindOf(err) != fault.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestVerify(t *testing.T) {
	b := newBench(t)
	b.opts.Verify = true
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	for _, want := range []int{2, 1} { // with nothing recorded, then with
		if _, err := b.run(stages, "b"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"a": want, "b": want}, b.concat.take()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	}
	n := 0
	b.runners["dice"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		n++
		return put(ctx, w, fmt.Sprint(n))
	})
	_, err := b.run([]builder.Stage{{Name: "dice", Kind: "dice"}}, "dice")
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "stage dice: it is not deterministic: output out") {
		t.Errorf("error %v", err)
	}
}

func TestMissing(t *testing.T) {
	b := newBench(t)
	bad := stage("b", `""`, "a")
	bad.Inputs[0].Output = "nothing"
	if _, err := b.run([]builder.Stage{stage("a", `""`), bad}, "b"); err == nil ||
		err.Error() != `stage b: input a: stage a did not make an output "nothing"` {
		t.Errorf("error %v", err)
	}
	if _, err := b.run([]builder.Stage{{Name: "x", Kind: "unheard"}}, "x"); fault.KindOf(err) != fault.Usage {
		t.Errorf("error %v", err)
	}
}

func TestFresh(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	for range 2 {
		b.opts.Fresh = true
		if _, err := b.run(stages, "b"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, b.concat.take()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	}
	b.opts.Fresh = false
	if _, err := b.run(stages, "b"); err != nil || b.concat.take() != nil {
		t.Errorf("what was made afresh is not reused: %v", err)
	}
}

// TestOutputs takes what one target made while another still runs, and has the
// error of the run when that one fails.
func TestOutputs(t *testing.T) {
	b := newBench(t)
	goOn := make(chan struct{})
	broken := errors.New("broken")
	b.runners["late"] = builder.RunnerFunc(func(context.Context, *builder.Work) (builder.Outputs, error) {
		<-goOn
		return nil, broken
	})
	late := builder.Stage{Name: "gate", Kind: "late", Inputs: []builder.Input{{Role: "disk", Stage: "disk", Output: "out"}}}
	p, err := builder.NewPlan([]builder.Stage{stage("disk", `"d"`), late}, []string{"disk", "gate"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := local.New(b.store, b.runners, b.opts).Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	results, err := x.Outputs("disk")
	if err != nil || results["disk"]["out"].Digest == "" {
		t.Errorf("outputs %v, %v, want those of the disk", results, err)
	}
	close(goOn)
	if _, err := x.Outputs("gate"); !errors.Is(err, broken) {
		t.Errorf("error %v of the outputs", err)
	}
	if _, err := x.Wait(); !errors.Is(err, broken) {
		t.Errorf("error %v of the run", err)
	}
}
