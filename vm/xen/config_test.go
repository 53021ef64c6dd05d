package xen

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

// TestConfigOfOthers packs a configuration with its files, and reads them back
// from the archive by cpio.
func TestConfigOfOthers(t *testing.T) {
	t.Parallel()
	program := cpioProgram(t)
	kernel := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(kernel, []byte("the kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	for mode, console := range map[Mode]bool{PV: false, HVM: true} {
		c := Config{Text: []byte("name = \"mine\""), Disk: "a.raw", Files: map[string]string{"/srv/vmlinuz": kernel}}
		var packed bytes.Buffer
		if err := (&Host{}).Pack(&packed, Guest{Mode: mode, Config: &c}); err != nil {
			t.Fatal(err)
		}
		if got, want := list(t, program, packed.Bytes()), "guest guest/a.raw guest/config srv srv/vmlinuz"; got != want {
			t.Errorf("the guest is %s, want %s", got, want)
		}
		text := packed.String()
		if !strings.Contains(text, "name = \"mine\"\nname = \"guest\"\n") || !strings.Contains(text, "/dev/vda") ||
			!strings.Contains(text, "the kernel") || strings.Contains(text, "serial =") != console {
			t.Errorf("%s: the archive holds %q", mode, text)
		}
	}
	for _, name := range []string{"", "/", "config"} {
		if err := (&Host{}).Pack(&bytes.Buffer{}, Guest{Config: &Config{Disk: name}}); fault.KindOf(err) != fault.Input {
			t.Errorf("%q: %v", name, err)
		}
	}
}
