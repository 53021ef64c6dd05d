package ovm_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovm"
)

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: ovm.Format{}, Files: []string{"hello-jvm.tgz"}, Check: check})
}

// unpack lets GNU tar and gzip unpack a template.
func unpack(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-xzSf", path, "-C", dir)
	return dir
}

func check(t *testing.T, m outputtest.Made) {
	if m.Disk.Size() > 1<<30 {
		return // tar takes seconds for a GiB of zeros
	}
	d, err := disk.OpenFile(filepath.Join(unpack(t, m.Dir.Path("hello-jvm.tgz")), ovm.DiskName(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := disktest.Diff(d, m.Disk); err != nil || d.Size() != m.Disk.Size() {
		t.Errorf("%d bytes, %v", d.Size(), err)
	}
}

// asXL returns a copy of vm.cfg as xl reads it. Oracle VM has keys of its own,
// in capitals, which xl's grammar does not let a key have: they are left out.
func asXL(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var plain strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "OVM_") {
			plain.WriteString(line)
		}
	}
	path := filepath.Join(t.TempDir(), "xl.cfg")
	if err := os.WriteFile(path, []byte(plain.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConfig lets xl read vm.cfg but for the keys of Oracle VM, and Python,
// which Oracle VM reads it with, the whole.
func TestConfig(t *testing.T) {
	xl := outputtest.NewXL(t)
	python := disktest.Program(t, "python3", "python3")
	for domain, want := range map[string]struct{ device, card string }{
		"xen_hvm_pv_drivers": {"xvda", ""}, // xl passes over "netfront", the word of Oracle VM
		"xen_hvm":            {"hda", "vif_ioemu"},
	} {
		m := outputtest.Write(t, outputtest.Format{Format: ovm.Format{}, Options: `{"domain":"` + domain + `"}`}, "1 MiB")
		config := filepath.Join(unpack(t, m.Dir.Path("hello-jvm.tgz")), ovm.ConfigName)
		g := xl.Parse(t, asXL(t, config))
		if g.Info.Type != "hvm" || g.Info.Name != "hello-jvm" || g.Build.VCPUs != 2 || g.Build.MemoryKiB != 250<<10 ||
			len(g.Disks) != 1 || g.Disks[0].Path != ovm.DiskName(0) || g.Disks[0].Device != want.device || g.Disks[0].Format != "raw" ||
			g.Disks[0].ReadWrite != 1 || len(g.NICs) != 1 || g.NICs[0].Type != want.card {
			t.Errorf("%s: %+v", domain, g)
		}
		const script = `import sys, json; v = {}; exec(open(sys.argv[1]).read(), {}, v); print(json.dumps(v))`
		var v struct {
			Name        string `json:"OVM_simple_name"`
			Description string `json:"OVM_description"`
			Domain      string `json:"OVM_domain_type"`
			Disk        []string
		}
		if err := json.Unmarshal([]byte(disktest.Run(t, python, "-c", script, config)), &v); err != nil {
			t.Fatal(err)
		}
		// Python 3 takes the escaped bytes for characters, Python 2 for bytes.
		if v.Name != "hello-jvm" || !strings.HasPrefix(v.Description, "Says \"hello\" & more,\nin 2 lines ") || v.Domain != domain ||
			v.Disk[0] != "file:System.img,"+want.device+",w" {
			t.Errorf("Python reads %+v", v)
		}
	}
}

// TestListing lets GNU tar read the headers of a template of more than 8 GiB, a
// size that the form's octal digits cannot tell.
func TestListing(t *testing.T) {
	if testing.Short() {
		t.Skip("9 GiB of zeros take gzip seconds")
	}
	tar := disktest.Program(t, "tar", "tar")
	m := outputtest.Write(t, outputtest.Format{Format: ovm.Format{}}, "9 GiB")
	// What follows the headers is cut off: unpacking zeros is all that the rest
	// would take, and tar complains of the end.
	out, _ := exec.Command("sh", "-c", `gzip -dc "$1" | head -c 100000 | "$2" -tvf -`, "sh", m.Dir.Path("hello-jvm.tgz"), tar).Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if size := fmt.Sprintf(" %d ", m.Disk.Size()); len(lines) != 2 || !strings.HasSuffix(lines[1], ovm.DiskName(0)) || !strings.Contains(lines[1], size) {
		t.Errorf("%q", lines)
	}
}

func TestOptions(t *testing.T) {
	_, err := ovm.Format{}.New(json.RawMessage(`{"domain":"xen_pvm"}`))
	if fault.KindOf(err) != fault.Recipe || len(fault.HintsOf(err)) == 0 {
		t.Errorf("%v", err)
	}
}
