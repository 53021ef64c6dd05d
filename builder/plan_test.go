package builder_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/builder"
)

// stage makes a stage whose inputs have the names of the stages they are of.
func stage(name string, inputs ...string) builder.Stage {
	s := builder.Stage{Name: name, Kind: "test", Version: 1, Title: "Make " + name}
	for _, in := range inputs {
		s.Inputs = append(s.Inputs, builder.Input{Role: in, Stage: in, Output: "out"})
	}
	return s
}

func names(p *builder.Plan) []string {
	var names []string
	for _, s := range p.Stages() {
		names = append(names, s.Name)
	}
	return names
}

func mustPlan(t *testing.T, stages []builder.Stage, targets ...string) *builder.Plan {
	t.Helper()
	p, err := builder.NewPlan(stages, targets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOrder(t *testing.T) {
	p := mustPlan(t, []builder.Stage{
		stage("disk", "root", "kernel"), stage("unused", "kernel"), stage("kernel"), stage("root", "tree"), stage("tree"),
	}, "disk")
	if diff := cmp.Diff([]string{"tree", "root", "kernel", "disk"}, names(p)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if _, ok := p.Stage("unused"); ok || p.Key("unused") != "" {
		t.Error("a stage that nothing needs is part of the plan")
	}
}

func TestInvalid(t *testing.T) {
	badParams := stage("a")
	badParams.Params = json.RawMessage(`{"x":`)
	twoValues := stage("a")
	twoValues.Params = json.RawMessage(`1 2`)
	twoRoles := stage("b", "a", "a")
	tests := []struct {
		name   string
		stages []builder.Stage
		target string
		want   []string
	}{
		{"cycle", []builder.Stage{stage("t", "a"), stage("a", "b"), stage("b", "c"), stage("c", "a")}, "t",
			[]string{"the stages form a cycle: a → b → c → a"}},
		{"cycle of one, not needed", []builder.Stage{stage("t"), stage("a", "a")}, "t", []string{"cycle: a → a"}},
		{"all that is wrong", []builder.Stage{stage("a", "x"), stage("a"), twoRoles, {Kind: "k"}}, "y",
			[]string{"stage a: the name is used twice", `stage a: input x is of stage "x", which does not exist`,
				`stage b: two inputs have the role "a"`, "stage 3 (k): it has no name", `target "y": there is no such stage`}},
		{"parameters", []builder.Stage{badParams}, "a", []string{"stage a: reading the parameters: unexpected EOF"}},
		{"two values", []builder.Stage{twoValues}, "a", []string{"stage a: reading the parameters: something follows"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := builder.NewPlan(test.stages, []string{test.target})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

// TestKeys changes a stage in one way at a time, and sees whose keys change.
func TestKeys(t *testing.T) {
	base := func() []builder.Stage {
		a, b := stage("a"), stage("b", "a")
		a.Params = json.RawMessage(`{"x": 1, "y": [true]}`)
		a.Tools = map[string]string{"mkfs": "1"}
		return []builder.Stage{a, b}
	}
	before := mustPlan(t, base(), "b")
	tests := []struct {
		name   string
		change func(a, b *builder.Stage)
		a, b   bool // whether the key changes
	}{
		{"title", func(a, b *builder.Stage) { a.Title, b.Title = "x", "y" }, false, false},
		{"name", func(a, b *builder.Stage) { a.Name, b.Inputs[0].Stage = "z", "z" }, false, false},
		{"spelling of parameters", func(a, b *builder.Stage) { a.Params = json.RawMessage(`{"y":[true],"x":1}`) }, false, false},
		{"parameters", func(a, b *builder.Stage) { a.Params = json.RawMessage(`{"x": 2, "y": [true]}`) }, true, true},
		{"large numbers", func(a, b *builder.Stage) {
			a.Params = json.RawMessage(`{"x": 1, "y": [true], "z": 9007199254740993}`)
		}, true, true},
		{"kind", func(a, b *builder.Stage) { a.Kind = "other" }, true, true},
		{"version", func(a, b *builder.Stage) { b.Version++ }, false, true},
		{"tool", func(a, b *builder.Stage) { a.Tools = map[string]string{"mkfs": "2"} }, true, true},
		{"role", func(a, b *builder.Stage) { b.Inputs[0].Role = "r" }, false, true},
		{"output", func(a, b *builder.Stage) { b.Inputs[0].Output = "o" }, false, true},
		{"no tools", func(a, b *builder.Stage) { b.Tools = map[string]string{} }, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stages := base()
			test.change(&stages[0], &stages[1])
			after := mustPlan(t, stages, "b")
			if got := after.Key(stages[0].Name) != before.Key("a"); got != test.a {
				t.Errorf("key of a changed: %v", got)
			}
			if got := after.Key("b") != before.Key("b"); got != test.b {
				t.Errorf("key of b changed: %v", got)
			}
		})
	}
}

func TestContentKey(t *testing.T) {
	s := stage("b", "a")
	desc := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString("x"), Size: 1}
	key := func(d ocispec.Descriptor) digest.Digest {
		k, err := builder.ContentKey(s, map[string]ocispec.Descriptor{"a": d})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	other := desc
	other.MediaType = "text/html"
	if again := desc; key(desc) != key(again) || key(desc) == key(other) {
		t.Error("the key is not a function of the descriptor")
	}
	if key(desc) == mustPlan(t, []builder.Stage{stage("a"), s}, "b").Key("b") {
		t.Error("the two kinds of keys are not apart")
	}
}

// TestKeysStay pins keys: when they change, every cache in the world is lost,
// which has to be on purpose.
func TestKeysStay(t *testing.T) {
	a := stage("a")
	a.Params = json.RawMessage(`{"b":1,"a":"<x>"}`)
	p := mustPlan(t, []builder.Stage{a, stage("b", "a")}, "b")
	want := map[string]digest.Digest{
		"a": "sha256:3a3d1a1c01e2e1507402b0fb66a9438aaf101637d381cda86b25cab5ca01bf5d",
		"b": "sha256:f8d6a58edf55cf8f0e812df30ab3850c71e2098e332bac4c47cccbc5e8cb3eb5",
	}
	got := map[string]digest.Digest{"a": p.Key("a"), "b": p.Key("b")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestPrint(t *testing.T) {
	disk := stage("disk", "root", "kernel")
	disk.Inputs[1].Role = "boot"
	image := stage("image", "tree", "tree", "root")
	image.Inputs[0].Role, image.Inputs[1].Role, image.Inputs[1].Output = "layer/000", "layer/001", "more"
	p := mustPlan(t, []builder.Stage{disk, stage("kernel"), stage("root", "tree"), stage("tree"), image},
		"root", "disk", "image")
	if _, err := p.Deliver(builder.Delivery{From: []string{"tree"}}); err == nil {
		t.Error("a stage that is no target is delivered")
	}
	p, err := p.Deliver(builder.Delivery{Title: "Write files", From: []string{"disk"}, Gates: []string{"root", "image"}})
	if err != nil {
		t.Fatal(err)
	}
	short := func(name string) string { return p.Key(name).Encoded()[:12] }
	want := strings.NewReplacer("DISK", short("disk"), "ROOT", short("root"), "TREE", short("tree"),
		"KERNEL", short("kernel"), "IMAGE", short("image")).Replace(`root  ROOT  Make root
└─ tree  TREE  Make tree
disk  DISK  Make disk
├─ root  ROOT  Make root  (see above)
└─ boot: kernel  KERNEL  Make kernel
image  IMAGE  Make image
├─ layer: tree  TREE  Make tree
└─ root  ROOT  Make root  (see above)
Write files; named when root, image have passed
`)
	var b strings.Builder
	if err := p.WriteTree(&b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}

	b.Reset()
	if err := p.WriteDOT(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"kernel" -> "disk" [label="boot"]`, `"tree" -> "image" [label="layer"]`,
		`"disk" -> delivery`, `"image" -> delivery [style=dashed, label=gate]`,
		fmt.Sprintf(`"root" [label="root\ntest %s"]`, short("root"))} {
		if strings.Count(b.String(), want) != 1 {
			t.Errorf("the graph does not have %s once:\n%s", want, &b)
		}
	}

	var doc struct {
		Targets []string
		Stages  []struct {
			Name string
			Key  digest.Digest
		}
		Delivery builder.Delivery
	}
	j, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(j, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Stages) != 5 || doc.Stages[0].Name != "tree" || doc.Stages[0].Key != p.Key("tree") || len(doc.Targets) != 3 || len(doc.Delivery.Gates) != 2 {
		t.Errorf("JSON: %s", j)
	}
}

// TestAnyGraph checks, for random acyclic graphs in random order, that inputs
// come first, each once, that exactly what is needed is there, and that the
// order of what is given does not change keys.
func TestAnyGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "stages")
		var stages []builder.Stage
		for i := range n {
			s := stage(fmt.Sprint("s", i))
			for j := range i {
				if rapid.Bool().Draw(t, fmt.Sprintf("%d needs %d", i, j)) {
					s.Inputs = append(s.Inputs, builder.Input{Role: fmt.Sprint(j), Stage: fmt.Sprint("s", j), Output: "out"})
				}
			}
			stages = append(stages, s)
		}
		target := fmt.Sprint("s", rapid.IntRange(0, n-1).Draw(t, "target"))
		first, err := builder.NewPlan(stages, []string{target})
		if err != nil {
			t.Fatal(err)
		}
		p, err := builder.NewPlan(rapid.Permutation(stages).Draw(t, "order"), []string{target})
		if err != nil {
			t.Fatal(err)
		}
		order := names(p)
		for i, s := range p.Stages() {
			for _, in := range s.Inputs {
				if j := slices.Index(order, in.Stage); j < 0 || j >= i {
					t.Fatalf("%s is made before its input %s: %v", s.Name, in.Stage, order)
				}
			}
			needed := s.Name == target || slices.ContainsFunc(p.Stages(), func(o builder.Stage) bool {
				return slices.ContainsFunc(o.Inputs, func(in builder.Input) bool { return in.Stage == s.Name })
			})
			if !needed || slices.Index(order[i+1:], s.Name) >= 0 {
				t.Fatalf("%s is not needed, or twice there: %v", s.Name, order)
			}
			if p.Key(s.Name) != first.Key(s.Name) {
				t.Fatalf("the key of %s depends on the order", s.Name)
			}
		}
	})
}
