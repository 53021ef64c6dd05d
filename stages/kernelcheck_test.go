package stages

import (
	"slices"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/recipes"
)

// The recipe's targets are those that a kernel can be checked against.
func TestTargetsOfRecipes(t *testing.T) {
	for _, target := range kernel.Targets() {
		if _, err := recipes.Parse("r", []byte("apiVersion: imgbuild/v1\nname: n\nruntime: none\napp: {binary: b}\ntargets: ["+target.Name+"]\n")); err != nil {
			t.Errorf("a recipe cannot name the target %s: %v", target.Name, err)
		}
	}
}

func TestKernelBudgets(t *testing.T) {
	config := map[string]string{"SMP": "y", "NR_CPUS": "64", "LOCALVERSION": `"-x"`}
	for name, c := range map[string]struct {
		p      kernelCheckParams
		config map[string]string
		want   fault.Kind // 0 for none
	}{
		"all kept":     {kernelCheckParams{Size: 100, Symbols: map[string]string{"SMP": "y", "MODULES": "n", "NR_CPUS": "64", "LOCALVERSION": "-x"}}, config, 0},
		"too large":    {kernelCheckParams{Size: 99}, config, fault.Check},
		"wrong value":  {kernelCheckParams{Symbols: map[string]string{"NR_CPUS": "8"}}, config, fault.Check},
		"not set":      {kernelCheckParams{Symbols: map[string]string{"KVM": "y"}}, config, fault.Check},
		"set":          {kernelCheckParams{Symbols: map[string]string{"SMP": "n"}}, config, fault.Check},
		"no symbols":   {kernelCheckParams{Symbols: map[string]string{"SMP": "y"}}, nil, fault.Input},
		"no config ok": {kernelCheckParams{Size: 100}, nil, 0},
	} {
		err := c.p.keeps(100, c.config)
		if err == nil && c.want != 0 || err != nil && fault.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: nothing to do", name)
		}
	}
}

func TestKernelServes(t *testing.T) {
	image := kernel.Image{Format: kernel.BzImage}
	p := kernelCheckParams{Targets: []string{"xen-pv", "pvh", "direct"}}
	err := p.serves(image, nil)
	if fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) != 2 {
		t.Errorf("%v, hints %v", err, fault.HintsOf(err))
	}
	if err := (kernelCheckParams{Targets: []string{"direct"}}).serves(image, nil); err != nil {
		t.Error(err)
	}
	if hints := fault.HintsOf(p.serves(image, map[string]string{"VIRTIO_PCI": "m", "VIRTIO_BLK": "y", "VIRTIO_NET": "y"})); !slices.Contains(hints, "build it in (=y); a kernel file brings no modules") {
		t.Errorf("a module is not refused: %v", hints)
	}
}
