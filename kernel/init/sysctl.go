package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// sysctls returns what to set: guest.json's values over those that every
// appliance wants. Any port may be bound by the app, which has no privileges;
// the kernel's messages below an error stay off the console unless the command
// line asks for them.
func sysctls(own map[string]string, line cmdline) map[string]string {
	all := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	if line.last("loglevel") == "" && !line.has("debug") && !line.has("ignore_loglevel") {
		all["kernel.printk"] = "4"
	}
	for key, value := range own {
		all[key] = value
	}
	return all
}

// setSysctls sets them below dir, which is /proc/sys, and goes on after a key
// that cannot be set: the error names them all.
func setSysctls(dir string, values map[string]string) error {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var errs []error
	for _, key := range keys {
		if err := setSysctl(dir, key, values[key]); err != nil {
			errs = append(errs, fmt.Errorf("setting sysctl %s to %q: %w", key, values[key], err))
		}
	}
	return errors.Join(errs...)
}

// setSysctl takes both forms of sysctl(8): kernel.printk and kernel/printk.
// The first separator tells which one it is; in the dotted form a slash stands
// for a dot inside a name.
func setSysctl(dir, key, value string) error {
	path := key
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		path = strings.NewReplacer(".", "/", "/", ".").Replace(key)
	}
	if !filepath.IsLocal(path) {
		return errors.New("no name of a sysctl")
	}
	f, err := os.OpenFile(filepath.Join(dir, path), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}
