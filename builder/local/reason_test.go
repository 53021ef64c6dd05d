package local_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
)

// TestSecondChance changes a stage so that its output stays the same: what
// depends on it is reused.
func TestSecondChance(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	b.concat.take()
	stages[0].Version = 2
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 1}, b.concat.take()); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if got := b.reasons(builder.Started)["a"]; got != "runner version changed from 1 to 2" {
		t.Errorf("reason of a: %q", got)
	}
	if got := b.reasons(builder.Cached)["b"]; got != "what it is made from is the same as before" {
		t.Errorf("reason of b: %q", got)
	}
	// The new definition key is recorded: no stage but the target is asked.
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	if len(b.reasons(builder.Planned)) != 1 {
		t.Errorf("stages that were looked at: %v", b.reasons(builder.Planned))
	}
}

func TestReasons(t *testing.T) {
	base := func() []builder.Stage {
		s := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
		s[1].Tools = map[string]string{"mkfs": "1.0"}
		return s
	}
	tests := []struct {
		name   string
		change func(*bench, []builder.Stage)
		want   map[string]string
	}{
		{"input", func(_ *bench, s []builder.Stage) { s[0].Params = json.RawMessage(`"X"`) },
			map[string]string{"a": "parameters changed", "b": "inputs changed: a"}},
		{"version", func(_ *bench, s []builder.Stage) { s[1].Version = 3 },
			map[string]string{"b": "runner version changed from 1 to 3"}},
		{"tool", func(_ *bench, s []builder.Stage) { s[1].Tools = map[string]string{"mkfs": "1.1"} },
			map[string]string{"b": "tool mkfs changed from 1.0 to 1.1"}},
		{"tool and input", func(_ *bench, s []builder.Stage) {
			s[0].Params = json.RawMessage(`"X"`)
			s[1].Tools = map[string]string{"mkfs": "1.1", "jlink": "17"}
		}, map[string]string{"a": "parameters changed", "b": "tool jlink 17 is new; tool mkfs changed from 1.0 to 1.1; inputs changed: a"}},
		{"blob missing", func(b *bench, s []builder.Stage) {
			if _, err := b.store.Prune(b.t.Context(), store.PruneOptions{}); err != nil {
				b.t.Fatal(err)
			}
			p, _ := builder.NewPlan(s, []string{"b"})
			out, _, err := b.store.Lookup(b.t.Context(), p.Key("b"))
			if err != nil {
				b.t.Fatal(err)
			}
			if err := b.store.Content().Delete(b.t.Context(), out["out"].Digest); err != nil {
				b.t.Fatal(err)
			}
		}, map[string]string{"b": "blob missing: its outputs are no longer in the cache"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			if _, err := b.run(base(), "b"); err != nil {
				t.Fatal(err)
			}
			stages := base()
			test.change(b, stages)
			if _, err := b.run(stages, "b"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, b.reasons(builder.Started)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
