package ovf_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// TestEncoded reads disks that gzip compressed, that split cut into chunks, and
// both, as loose files and in an archive.
func TestEncoded(t *testing.T) {
	gzip, split, tar := disktest.Program(t, "gzip", "gzip"), disktest.Program(t, "split", "coreutils"), disktest.Program(t, "tar", "tar")
	const name = "hello-jvm-disk1.vmdk"
	for attributes, cut := range map[string]bool{
		`ovf:compression="gzip"`:                        false,
		`ovf:chunkSize="20000"`:                         true,
		`ovf:compression="gzip" ovf:chunkSize="20000"`:  true,
		`ovf:compression="identity" ovf:chunkSize="0" `: false,
	} {
		t.Run(attributes, func(t *testing.T) {
			m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
			file := m.Dir.Path(name)
			edit(t, path, replace(`ovf:id="file1"`, `ovf:id="file1" `+attributes))
			edit(t, path, func(b []byte) []byte { return regexp.MustCompile(` ovf:size="\d+"`).ReplaceAll(b, nil) })
			if strings.Contains(attributes, "gzip") {
				disktest.Run(t, gzip, file)
				if err := os.Rename(file+".gz", file); err != nil {
					t.Fatal(err)
				}
			}
			if cut {
				disktest.Run(t, split, "-d", "-a", "9", "-n", "3", file, file+".")
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			archive := m.Dir.Path("a.ova")
			disktest.Run(t, tar, "--format=ustar", "-C", m.Dir.Path(""), "--exclude=*.mf", "--exclude=a.ova", "--sort=name", "-cf", archive, ".")
			for _, path := range []string{path, archive} {
				p := open(t, path)
				d, format, err := p.OpenDisk(t.Context(), p.Disks[0])
				if err != nil || format != "vmdk" {
					t.Fatalf("%s: %s, %v", path, format, err)
				}
				disktest.TestReader(t, d, m.Disk)
			}
		})
	}
}
