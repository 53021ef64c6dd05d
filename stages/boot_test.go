package stages

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The menu of GRUB-for-Xen is one of GRUB's, and its console is Xen's.
func TestGrubMenu(t *testing.T) {
	t.Parallel()
	const cmdline = "root=PARTUUID=1 console=hvc0 console=ttyS0 quiet"
	program, err := exec.LookPath("grub-script-check")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("grub-script-check is missing: install the package grub-common")
	}
	for name, menu := range map[string]string{
		"one kernel":     grubMenu(cmdline, false, false),
		"two kernels":    grubMenu(cmdline, false, true),
		"with initramfs": grubMenu(cmdline, true, true),
	} {
		if n := strings.Count(menu, "console=ttyS0 console=hvc0 quiet\n"); n != strings.Count(menu, "linux /") {
			t.Errorf("%s: the console named last is not hvc0:\n%s", name, menu)
		}
		if program == "" {
			continue // the rest was checked
		}
		file := filepath.Join(t.TempDir(), "grub.cfg")
		if err := os.WriteFile(file, []byte(menu), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s%s", name, err, out, menu)
		}
	}
}

// The words are those of the kernel's documentation, and only strict has any.
func TestIsolation(t *testing.T) {
	for _, word := range []string{"init_on_alloc=1", "init_on_free=1", "xen_scrub_pages=1"} {
		if !slices.Contains(isolation("strict"), word) {
			t.Errorf("strict lacks %s", word)
		}
	}
	if words := isolation("standard"); len(words) > 0 {
		t.Errorf("standard has %v", words)
	}
}
