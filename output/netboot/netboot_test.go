package netboot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/netboot"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// appliance has files of sizes that a small file system cannot hold, and an EFI
// program of this many bytes.
func appliance(t *testing.T, efi int) output.Appliance {
	t.Helper()
	a := outputtest.Appliance()
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Repeat([]byte(name[:1]), size), 0o400); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a.Kernel.Image = write("kernel", 100_000)
	a.Kernel.RAMCmdline = "rdinit=/init console=ttyS0"
	a.Parts = map[output.Part]string{output.RAM: write("ram", 200_000), output.RAMEFI: write("efi", efi)}
	return a
}

func TestFormat(t *testing.T) {
	all := []string{"hello-jvm-netboot.efi", "hello-jvm-netboot.initrd", "hello-jvm-netboot.vmlinuz", "hello-jvm.ipxe", "hello-jvm.pxelinux"}
	for name, c := range map[string]struct {
		efi   int
		files []string
	}{"with EFI": {300_000, all}, "without": {0, all[1:]}} {
		t.Run(name, func(t *testing.T) {
			outputtest.Test(t, outputtest.Format{Format: netboot.Format{}, Appliance: appliance(t, c.efi), Files: c.files, Check: check})
		})
	}
}

// check compares the copies, and follows the names that the script and the
// configuration load.
func check(t *testing.T, m outputtest.Made) {
	for name, path := range map[string]string{"vmlinuz": m.Appliance.Kernel.Image, "initrd": m.Appliance.Parts[output.RAM]} {
		got, err := os.ReadFile(m.Dir.Path("hello-jvm-netboot." + name))
		want, wantErr := os.ReadFile(path)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was: %v, %v", name, err, wantErr)
		}
	}
	for name, words := range map[string][2]string{"hello-jvm.ipxe": {"kernel", "initrd"}, "hello-jvm.pxelinux": {"KERNEL", "INITRD"}} {
		text, err := os.ReadFile(m.Dir.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		loads := 0
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != words[0] && f[0] != words[1] {
				continue
			}
			loads++
			if _, err := os.Stat(m.Dir.Path(f[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if loads != 2 || !strings.Contains(string(text), " "+m.Appliance.Kernel.RAMCmdline+"\n") {
			t.Errorf("%s loads %d files:\n%s", name, loads, text)
		}
	}
}

func TestNothingToWrite(t *testing.T) {
	without, gone := outputtest.Appliance(), appliance(t, 1)
	gone.Parts[output.RAM] = filepath.Join(t.TempDir(), "none")
	for name, a := range map[string]output.Appliance{"no root": without, "missing": gone} {
		dir := t.TempDir()
		d, err := output.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		files, err := output.Write(t.Context(), a, disk.NewMemory(1<<20), d, []output.Selected{{Format: netboot.Format{}, Writer: netboot.Format{}}}, nil)
		if left, _ := os.ReadDir(dir); err == nil || len(files)+len(left) > 0 {
			t.Errorf("%s: %v, %v, %v", name, files, left, err)
		}
	}
}
