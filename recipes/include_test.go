package recipes

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

func TestIncludes(t *testing.T) {
	dir := folder(t, map[string]string{
		"recipe.yaml":           "include: [shared/base.yaml, shared/more.yaml]\nname: top\nkernel: {package: linux-image-cloud-amd64}\nguest: {cpus: 2}\noutputs: [qcow2]\n",
		"shared/base.yaml":      minimal + "kernel: {universal: {series: 6.1}, cmdline: [quiet]}\nguest: {memory: 1GiB, cpus: 4}\noutputs: [raw, ova]\nvars: {a: base}\n",
		"shared/more.yaml":      "include: [deep/last.yaml]\nvendor: ${a}\nvars: {a: more}\n",
		"shared/deep/last.yaml": "files: [{path: /x, source: x}]\nvendor: lost\n",
		"shared/deep/x":         "",
		"shared/app.jar":        "",
	})
	r := resolve(t, dir)
	got := r.Recipe
	if got.Name != "top" || got.Vendor != "more" || got.Guest.CPUs != 2 || got.Guest.Memory != 1<<30 {
		t.Errorf("scalars: %+v", got)
	}
	if k := got.Kernel; k.Universal != nil || k.Package == "" || len(k.Cmdline) != 1 {
		t.Errorf("a kernel in the recipe must replace that of its include: %+v", k)
	}
	if len(got.Outputs) != 1 || got.Outputs[0].Format != "qcow2" {
		t.Errorf("lists replace: %+v", got.Outputs)
	}
	if got.App.Jar != filepath.Join(dir, "shared/app.jar") || got.Files[0].Source != filepath.Join(dir, "shared/deep/x") {
		t.Errorf("paths start at the file they are written in: %s, %s", got.App.Jar, got.Files[0].Source)
	}
	if o := r.Origin("guest.memory"); o.File != filepath.Join(dir, "shared/base.yaml") || o.Line != 6 || o.Col != 17 {
		t.Errorf("origin %v", o)
	}
	if o := r.Origin("guest.hostname"); o.String() != "default" {
		t.Errorf("origin %v", o)
	}
	var b bytes.Buffer
	if err := WriteResolved(&b, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "jar: shared/app.jar") {
		t.Errorf("the printed form must have paths relative to the recipe:\n%s", &b)
	}
}

func TestIncludeErrors(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"cycle":    {map[string]string{"recipe.yaml": "include: [a.yaml]\n", "a.yaml": "include: [recipe.yaml]\n"}, "a.yaml:1:11: recipe.yaml includes itself: recipe.yaml → a.yaml → recipe.yaml"},
		"missing":  {map[string]string{"recipe.yaml": "include:\n  - none.yaml\n"}, "recipe.yaml:2:5: including none.yaml: no such file"},
		"variable": {map[string]string{"recipe.yaml": "include: ['${a}.yaml']\n"}, "cannot hold variables"},
		"scalar":   {map[string]string{"recipe.yaml": "include: a.yaml\n"}, "is a list of files"},
		"folder":   {map[string]string{"recipe.yaml": "include: [.]\n"}, "recipe.yaml:1:11: including ."},
		"inside":   {map[string]string{"recipe.yaml": "include: [a.yaml]\n" + minimal, "a.yaml": "\nguest: {cpu: 1}\n"}, "a.yaml:2:9: unknown key `cpu`"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, test.files)
			_, err := Resolve(Options{Path: filepath.Join(dir, "recipe.yaml")})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if kind := fault.KindOf(err); kind != fault.Recipe {
				t.Errorf("kind %d", kind)
			}
		})
	}
	deep := map[string]string{"recipe.yaml": "include: [1.yaml]\n"}
	for i := 1; i < 20; i++ {
		deep[string(rune('0'+i))+".yaml"] = "include: ['" + string(rune('1'+i)) + ".yaml']\n"
	}
	if _, err := Resolve(Options{Path: filepath.Join(folder(t, deep), "recipe.yaml")}); err == nil || !strings.Contains(err.Error(), "levels of files") {
		t.Errorf("deep includes: %v", err)
	}
}
