package recipes

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

func TestOverrides(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": "", "recipe.yaml": minimal + `
vars: {port: 8080}
outputs: [raw, {ova: {hypervisor: vmware}}]
test: [{http: {port: "${port}"}}]
`})
	r := resolve(t, dir, "vars.port=9090", "runtime.jvm.profile=fast-start", "outputs[0]=qcow2", "outputs[2]={xen: {a: 1}}",
		"outputs[1].ova.hypervisor=vbox", "test[0].http.path=/x", `guest.sysctl["vm.swappiness"]=10`, "app.args=[1, two]",
		"kernel.package=linux-image-amd64", "description=", "guest.cpus=2", "guest.cpus=3").Recipe
	want := []Output{{Format: "qcow2"}, {Format: "ova", Options: map[string]any{"hypervisor": "vbox"}}, {Format: "xen", Options: map[string]any{"a": int64(1)}}}
	if diff := cmp.Diff(want, r.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if h := r.Test[0].HTTP; h.Port != 9090 || h.Path != "/x" {
		t.Errorf("test: %+v", h)
	}
	if r.Runtime.JVM.Profile != "fast-start" || r.Kernel.Universal != nil || r.Guest.Sysctl["vm.swappiness"] != "10" || r.Guest.CPUs != 3 {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"1", "two"}, r.App.Args); diff != "" {
		t.Error(diff)
	}
	origin := resolve(t, dir, "guest.cpus=2").Origin("guest.cpus").String()
	if origin != "--set guest.cpus=2" {
		t.Errorf("origin %q", origin)
	}
}

func TestOverrideErrors(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": "", "recipe.yaml": minimal})
	tests := []struct{ flag, want string }{
		{"app.prots=[1]", "--set app.prots=[1]: unknown key `prots` in app\n  hint: did you mean `ports`?"},
		{"app.ports=80", "--set app.ports=80: `app.ports` is a list, found the number 80"},
		{"app.ports=[0]", "--set app.ports=[0]: `app.ports[0]` is 0"},
		{"app.ports=[", "--set app.ports=[: not valid YAML"},
		{"app", "an override is a path and a value"},
		{"=1", "an override is a path and a value"},
		{"app..jar=1", "is not a path"},
		{"[0]=1", "is not a path"},
		{"outputs[2]=raw", "the list has 0 items"},
		{"include=[a]", "cannot be overridden"},
		{"name=${x}", "--set name=${x}: the variable `x` is not defined"},
	}
	for _, test := range tests {
		_, err := Resolve(Options{Path: filepath.Join(dir, "recipe.yaml"), Set: []string{test.flag}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.flag, err, test.want)
			continue
		}
		if fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: kind %d", test.flag, fault.KindOf(err))
		}
	}
}
