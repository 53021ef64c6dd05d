package xen

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Config is a configuration of xl that somebody else wrote, xl.cfg(5).
type Config struct {
	Text []byte
	// Disk is what it calls the disk.
	Disk string
	// Files are the other files that it names: paths on this machine by their
	// names. dom0 has them, and the disk, where their names say, which is
	// beside the configuration for those that are relative.
	Files map[string]string
}

// ownSettings come behind the configuration, as if they were given to xl
// create: of a setting that is made twice the last counts. They are the name
// that dom0/init knows the guest by, and what [Guest.config] has for the
// emulation.
const ownSettings = "\nname = \"guest\"\ntsc_mode = \"native\"\n"

// ownConsole leads the serial port of an HVM guest to the machine's console.
const ownConsole = "serial = \"file:/dev/guest-console\"\n"

// add adds the configuration and its files to the initramfs.
func (c *Config) add(a *cpioWriter, mode Mode) error {
	text := string(c.Text) + ownSettings
	if mode == HVM {
		text += ownConsole
	}
	a.bytes(configPath, []byte(text), 0o644)
	path, err := place(c.Disk)
	if err != nil {
		return err
	}
	a.link(path, "/dev/vda")
	for name, from := range c.Files {
		if path, err = place(name); err != nil {
			return err
		}
		if err := a.file(path, from, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// place returns the path in the initramfs of a file that the configuration
// names: relative to its own folder, where dom0/init calls xl.
func place(name string) (string, error) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join("/", filepath.Dir(configPath), name)
	}
	path = strings.TrimPrefix(filepath.Clean(path), "/")
	if name == "" || path == "" || path == configPath {
		return "", fault.New(fault.Input, fmt.Errorf("the configuration of the guest names the file %q", name))
	}
	return path, nil
}
