package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/ovm"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// TestXenTemplate builds a template for Oracle VM, lets tar unpack it, and xl
// start its machine by its own vm.cfg, until the app answers. The firmware that
// is emulated within an emulation reads the disk as IDE, by port, which takes
// minutes.
func TestXenTemplate(t *testing.T) {
	if os.Getenv("IMGBUILD_TEST_SLOW") == "" {
		t.Skip("IMGBUILD_TEST_SLOW is not set: make test-slow sets it")
	}
	dir := readyRecipes(t)
	out := t.TempDir()
	imgbuild(t, "build", filepath.Join(dir, "go-static.yaml"), "-o", out, "--set", "outputs=[ovm]")
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-xzSf", filepath.Join(out, "go-static.tgz"), "-C", out)
	answersByXL(t, out)
}

// answersByXL starts the machine of an unpacked template.
func answersByXL(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ovm.ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	c, err := xlcfg.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.New(vm.Options{
		Disk: filepath.Join(dir, ovm.DiskName(0)), Boot: vm.XenHVM, Memory: c.Int("memory") << 20, CPUs: int(c.Int("vcpus")),
		XL:    &xen.Config{Text: forToolstack(text), Disk: ovm.DiskName(0)},
		Ports: []vm.Forward{{Guest: 8080}}, Log: func(text string) { t.Log(text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	checks := vm.Checks{List: []recipes.Check{{HTTP: &recipes.HTTPCheck{
		Port: 8080, Contains: "Hello", Within: recipes.Duration(3 * time.Minute), // of QEMU alone
	}}}}
	err = m.Run(t.Context(), func(r *vm.Running) error {
		report := r.Check(t.Context(), checks)
		if err := report.Err(); err != nil {
			x, _ := r.Xen()
			for _, l := range append(x.Log().Tail(10), r.Console().Tail(10)...) {
				t.Log(l.Text)
			}
			return err
		}
		answered, _ := report.Timeline.Dom0(report.Timeline.Answered)
		t.Logf("dom0's clock: created at %.1f s, answered at %.1f s", report.Timeline.Dom0Created, answered)
		return r.Stop(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// forToolstack returns a vm.cfg as Oracle VM's agent hands it to Xen: the keys
// in capitals are the manager's own.
func forToolstack(config []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(config)) {
		if !strings.HasPrefix(line, "OVM_") {
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}
