package kubevirt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/kubevirt"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: kubevirt.Format{}, Files: []string{"hello-jvm-kubevirt.oci.tar"}, Check: check})
}

// check lets skopeo unpack the image, which checks every digest, tar list its
// layer, and qemu-img judge the disk.
func check(t *testing.T, m outputtest.Made) {
	skopeo, tar := disktest.Program(t, "skopeo", "skopeo"), disktest.Program(t, "tar", "tar")
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	disktest.Run(t, skopeo, "--tmpdir", dir, "copy", "-q", "--dest-decompress", "oci-archive:"+m.Dir.Path("hello-jvm-kubevirt.oci.tar")+":1.0.0", "dir:"+image)
	layer := ""
	files, err := os.ReadDir(image)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files { // the blobs are called by their digests
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		head, err := os.ReadFile(filepath.Join(image, f.Name()))
		if err == nil && info.Size() > 512 && string(head[257:262]) == "ustar" {
			layer = filepath.Join(image, f.Name())
		}
	}
	if layer == "" {
		t.Fatalf("the image has no layer: %v", files)
	}
	lines := strings.Fields(disktest.Run(t, tar, "--numeric-owner", "-tvf", layer))
	want := map[int]string{0: "dr-xr-xr-x", 1: "107/107", 5: "disk/", 6: "-r--r-----", 7: "107/107", 11: "disk/hello-jvm.qcow2"}
	for i, word := range want {
		if len(lines) != 12 || lines[i] != word {
			t.Errorf("the layer is %q", lines)
			break
		}
	}
	disktest.Run(t, tar, "-xf", layer, "-C", dir)
	qcow := filepath.Join(dir, "disk", "hello-jvm.qcow2")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "qcow2", qcow)
	outputtest.Compare(t, m, "qcow2", qcow)
}
