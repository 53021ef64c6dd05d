package vm

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// FromXL returns the options of a machine on Xen whose guest is created by the
// configuration of xl at path, as the output "xen" writes it: with one raw disk,
// and a kernel or GRUB-for-Xen. The configuration is taken as it is; only the
// guest's name, its time stamp counter and the console of HVM are the machine's.
// The files that it names, in whatever folder, lie beside it on this machine.
func FromXL(path string) (Options, error) {
	c, err := parseXL(path)
	if err != nil {
		return Options{}, fault.New(fault.Input, fmt.Errorf("reading %s: %w", path, err))
	}
	o := Options{XL: path, Disk: beside(path, c.disk), Boot: c.boot, Memory: c.Int("memory") << 20, CPUs: int(c.Int("vcpus"))}
	if len(c.List("vif")) == 0 {
		o.NIC = NoNIC
	}
	return o, nil
}

// beside is where a file that a configuration names lies on this machine.
func beside(config, name string) string {
	return filepath.Join(filepath.Dir(config), filepath.Base(name))
}

// readXL is the configuration as dom0 takes it.
func readXL(path string) (*xen.Config, error) {
	c, err := parseXL(path)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading %s: %w", path, err))
	}
	own := &xen.Config{Text: c.text, Disk: c.disk, Files: map[string]string{}}
	if c.boot.loaded() {
		for _, key := range []string{"kernel", "ramdisk"} {
			if name := c.Text(key); name != "" {
				own.Files[name] = beside(path, name)
			}
		}
	}
	return own, nil
}

// xlConfig is a configuration, and what it says of the way to boot.
type xlConfig struct {
	xlcfg.Config
	text []byte
	disk string
	boot Boot
}

func parseXL(name string) (*xlConfig, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	c := &xlConfig{text: text}
	if c.Config, err = xlcfg.Parse(text); err != nil {
		return nil, err
	}
	disks := c.List("disk")
	if len(disks) != 1 {
		return nil, fmt.Errorf("it has %d disks", len(disks))
	}
	for part := range strings.SplitSeq(disks[0], ",") {
		if target, ok := strings.CutPrefix(part, "target="); ok {
			c.disk = target
		}
	}
	if c.disk == "" {
		return nil, fmt.Errorf("its disk %q has no target", disks[0])
	}
	grub := strings.HasPrefix(path.Base(c.Text("kernel")), "grub-")
	boots := map[string]Boot{"pvh": XenPVHDirect, "pv": XenPVDirect}
	if grub {
		boots = map[string]Boot{"pvh": XenPVH, "pv": XenPV}
	}
	boots["hvm"] = XenHVM
	kind := c.Text("type")
	if c.boot = boots[kind]; c.boot == "" {
		return nil, fmt.Errorf("the type %q is not known", kind)
	}
	return c, nil
}
