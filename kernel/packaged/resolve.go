package packaged

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// DefaultModules are the drivers with which an appliance finds its root and
// its network on every hypervisor, and the root's filesystems.
func DefaultModules() []string {
	return []string{
		"virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_console", "virtio_balloon", // KVM
		"xen-blkfront", "xen-netfront", // Xen
		"nvme", "ena", // EC2
		"vmw_pvscsi", "mptspi", "vmxnet3", "e1000", "e1000e", // VMware, VirtualBox
		"hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_balloon", // Hyper-V
		"ahci", "ata_piix", "sd_mod",
		"af_packet",
		"erofs", "squashfs", "ext4",
		"button", "evdev", // power button
	}
}

// Module is a module to load.
type Module struct {
	Name string // as lsmod prints it
	Path string // of its file, which may be compressed
}

// Closure is what has to be loaded for some wanted modules.
type Closure struct {
	Load    []Module // in load order: no module comes before one it needs
	Builtin []string // wanted, and part of the kernel itself
	Missing []string // wanted, but this kernel has nothing by that name
}

// Resolve computes the closure of the wanted modules, which are named by name
// or by alias, such as "fs-ext4" or "pci:v00001AF4d00001000sv…". Like modprobe
// it takes every module that provides an alias. A module that another one
// needs and that is not there is an error; a wanted one is only told.
func Resolve(ctx context.Context, p Package, wanted []string) (Closure, error) {
	builtin, err := p.builtin()
	if err != nil {
		return Closure{}, err
	}
	r := resolver{ctx: ctx, dir: p.Modules, builtin: builtin, files: map[string]string{}, state: map[string]state{}}
	if err := r.list(); err != nil {
		return Closure{}, err
	}
	for _, w := range wanted {
		names, err := r.providers(w)
		if err != nil {
			return Closure{}, err
		}
		if len(names) == 0 {
			if r.builtin[canonical(w)] {
				r.closure.Builtin = append(r.closure.Builtin, w)
			} else {
				r.closure.Missing = append(r.closure.Missing, w)
			}
		}
		for _, n := range names {
			if err := r.add(n); err != nil {
				return Closure{}, err
			}
		}
	}
	return r.closure, nil
}

type state int

const (
	unseen state = iota
	visiting
	added
)

// resolver holds what is known of a kernel's modules.
type resolver struct {
	ctx     context.Context
	dir     string
	builtin map[string]bool
	files   map[string]string   // name to path
	names   []string            // sorted
	aliases map[string][]string // name to patterns, once all modules are read
	state   map[string]state
	closure Closure
}

// list finds the module files.
func (r *resolver) list() error {
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, _, ok := moduleName(path); ok && d.Type().IsRegular() {
			r.files[name] = path
			r.names = append(r.names, name)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing kernel modules: %w", err)
	}
	slices.Sort(r.names)
	return nil
}

// providers returns the modules behind a name or an alias.
func (r *resolver) providers(want string) ([]string, error) {
	if name := canonical(want); r.files[name] != "" {
		return []string{name}, nil
	} else if r.builtin[name] {
		return nil, nil
	}
	if r.aliases == nil {
		if err := r.readAliases(); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, name := range r.names {
		if slices.ContainsFunc(r.aliases[name], func(pattern string) bool { return matches(pattern, want) }) {
			names = append(names, name)
		}
	}
	return names, nil
}

// matches tells whether an alias pattern covers a name; - and _ are alike.
func matches(pattern, want string) bool {
	ok, err := path.Match(canonical(pattern), canonical(want))
	return err == nil && ok
}

// readAliases reads every module: it takes a second or two and is done only
// when a name is not that of a file.
func (r *resolver) readAliases() error {
	r.aliases = map[string][]string{}
	for _, name := range r.names {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		i, err := readInfo(r.files[name])
		if err != nil {
			return fault.New(fault.Input, err)
		}
		r.aliases[name] = i.aliases
	}
	return nil
}

// add appends a module to the load order, after all that it needs.
func (r *resolver) add(name string) error {
	switch r.state[name] {
	case added:
		return nil
	case visiting:
		return fault.New(fault.Input, fmt.Errorf("module %s needs itself", name))
	}
	r.state[name] = visiting
	i, err := readInfo(r.files[name])
	if err != nil {
		return fault.New(fault.Input, err)
	}
	for _, soft := range i.before {
		names, err := r.providers(soft)
		if err != nil {
			return err
		}
		for _, n := range names {
			// Soft dependencies may run in a circle; then the order is free.
			if r.state[n] == unseen {
				if err := r.add(n); err != nil {
					return err
				}
			}
		}
	}
	for _, needed := range i.depends {
		n := canonical(needed)
		if r.builtin[n] {
			continue
		}
		if r.files[n] == "" {
			return fault.New(fault.Input, fmt.Errorf("module %s needs %s, which is not in the package", name, needed),
				"some distributions split modules over several packages: add the other ones")
		}
		if err := r.add(n); err != nil {
			return err
		}
	}
	r.state[name] = added
	r.closure.Load = append(r.closure.Load, Module{Name: name, Path: r.files[name]})
	return nil
}

// inside returns the module's place in the initramfs: that in the package,
// without the suffix of a compression.
func (m Module) inside(p Package) (string, error) {
	rel, err := filepath.Rel(p.Modules, m.Path)
	if err != nil {
		return "", fmt.Errorf("placing module %s: %w", m.Name, err)
	}
	if _, suffix, ok := moduleName(rel); ok {
		rel = strings.TrimSuffix(rel, suffix)
	}
	return path.Join("lib/modules", p.Version, filepath.ToSlash(rel)), nil
}
