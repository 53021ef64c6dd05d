package xen

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPins(t *testing.T) {
	t.Parallel()
	// Lines of apt 2.6: of download, of install, and what install says besides.
	got := pins(`Reading package lists...
'http://host/debian/pool/main/y/yajl/libyajl2_2.1.0-3%2bdeb12u2_amd64.deb' libyajl2_2.1.0-3+deb12u2_amd64.deb 22960 SHA256:b512
'http://host/debian/pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb' zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 MD5Sum:ec42
'http://host/debian/pool/main/p/pcre2/libpcre2-8-0_10.42-1+deb12u1_amd64.deb' libpcre2-8-0_10.42-1+deb12u1_amd64.deb 261628 
'http://host/x' ../../etc/passwd_1_all.deb 1 SHA256:0
`)
	want := []string{"libyajl2=2.1.0-3+deb12u2", "zlib1g=1:1.2.13.dfsg-1", "libpcre2-8-0=10.42-1+deb12u1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
}

func TestKernelPackage(t *testing.T) {
	t.Parallel()
	got, err := kernelPackage("linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n  Suggests: x\n")
	if err != nil || got != "linux-image-6.1.0-56-amd64" {
		t.Errorf("kernelPackage = %q, %v", got, err)
	}
	if got, err := kernelPackage("linux-image-amd64\n  Depends: <linux-image-6.1>\n"); err == nil {
		t.Errorf("kernelPackage of a virtual package = %q", got)
	}
}

// The scripts are a shell's.
func TestScriptsParse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"init", "block", "vif"} {
		if out, err := exec.Command("sh", "-n", "dom0/"+name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
