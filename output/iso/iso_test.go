package iso_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/iso"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// appliance has an image that a small file system cannot hold.
func appliance(t *testing.T) output.Appliance {
	t.Helper()
	a := outputtest.Appliance()
	a.Parts = map[output.Part]string{output.ISO: filepath.Join(t.TempDir(), "image")}
	if err := os.WriteFile(a.Parts[output.ISO], bytes.Repeat([]byte("image"), 50_000), 0o400); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{
		Format: iso.Format{}, Appliance: appliance(t), Files: []string{"hello-jvm.iso"}, Check: check,
	})
}

func check(t *testing.T, m outputtest.Made) {
	got, err := os.ReadFile(m.Dir.Path("hello-jvm.iso"))
	want, wantErr := os.ReadFile(m.Appliance.Parts[output.ISO])
	if err != nil || wantErr != nil || !bytes.Equal(got, want) {
		t.Errorf("the image is not what it was: %v, %v", err, wantErr)
	}
}

func TestNothingToWrite(t *testing.T) {
	d, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	selected := []output.Selected{{Format: iso.Format{}, Writer: iso.Format{}}}
	if files, err := output.Write(t.Context(), outputtest.Appliance(), disk.NewMemory(1<<20), d, selected, nil); err == nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}
