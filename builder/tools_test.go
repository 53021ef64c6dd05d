package builder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

func TestFindTool(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	counter := filepath.Join(dir, "count")
	script := filepath.Join(dir, "mktest")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(script, []byte("#!/bin/sh\necho x >>"+counter+"\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool := builder.Tool{Name: "mktest", Package: "test-utils", VersionArgs: []string{"-V"}, VersionRegexp: `mktest ([0-9.]+)`}
	write(`[ "$1" = -V ] && echo "mktest 1.47.0 (5-Feb-2023)" >&2; exit 1`)

	var box builder.Toolbox
	for range 2 {
		path, version, err := box.Find(t.Context(), tool)
		if err != nil || path != script || version != "1.47.0" {
			t.Errorf("%s %s %v", path, version, err)
		}
	}
	if asked, _ := os.ReadFile(counter); len(asked) != 2 {
		t.Errorf("asked %d times", len(asked)/2)
	}
	write(`echo "mktest 1.47.12"`)
	if _, version, err := box.Find(t.Context(), tool); err != nil || version != "1.47.12" {
		t.Errorf("after the update: %s %v", version, err)
	}
	tool.VersionRegexp = ""
	if _, version, err := builder.FindTool(t.Context(), tool); err != nil || version != "mktest 1.47.12" {
		t.Errorf("without an expression: %s %v", version, err)
	}
	tool.VersionRegexp = `version ([0-9]+)`
	if _, _, err := builder.FindTool(t.Context(), tool); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "1.47.12") {
		t.Errorf("no match: %v", err)
	}
	_, _, err := builder.FindTool(t.Context(), builder.Tool{Name: "mkfs.nothing", Package: "nothing-utils"})
	if fault.KindOf(err) != fault.Environment || err.Error() != "mkfs.nothing is not installed" {
		t.Errorf("missing: %v", err)
	}
	// Programs for administrators are found without being on the PATH.
	t.Setenv("PATH", dir)
	path, version, err := builder.FindTool(t.Context(), builder.Tool{Name: "mke2fs", Package: "e2fsprogs", VersionArgs: []string{"-V"}, VersionRegexp: `mke2fs ([0-9.]+)`})
	if err != nil || !strings.Contains(path, "sbin/mke2fs") || version == "" {
		t.Errorf("mke2fs: %s %s %v", path, version, err)
	}
}
