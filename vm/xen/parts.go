package xen

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/packaged"
)

// moduleList is the file of dom0 that names its modules in load order, one a
// line.
const moduleList = "modules"

// makeBase makes the hypervisor, dom0's kernel and the initramfs that serves
// PVH and PV guests.
func makeBase(ctx context.Context, a *apt, out string) error {
	kernel, err := a.kernel(ctx)
	if err != nil {
		return err
	}
	packages, err := a.exactly(ctx, append([]string{kernel}, basePackages...)...)
	if err != nil {
		return err
	}
	root, err := unpacked(ctx, a, packages, out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := gunzip(filepath.Join(root, "boot", "xen-"+release+"-amd64.gz"), filepath.Join(out, hypervisorFile)); err != nil {
		return err
	}
	p, err := packaged.Find(root)
	if err != nil {
		return err
	}
	if err := copyFile(p.Kernel, filepath.Join(out, kernelFile)); err != nil {
		return err
	}
	return writeInitramfs(out, func(w *cpioWriter) error {
		if err := addScripts(w); err != nil {
			return err
		}
		// Xen's programs know their folder with its version; the scripts
		// need not.
		w.link("usr/lib/xen", "xen-"+release)
		if err := addFiles(w, root, baseFiles); err != nil {
			return err
		}
		return addModules(ctx, w, p)
	})
}

// makeHVM makes the initramfs that HVM guests need besides.
func makeHVM(ctx context.Context, a *apt, out string) error {
	packages, err := a.closure(ctx, hvmPackage)
	if err != nil {
		return err
	}
	tools, err := a.exactly(ctx, "xen-utils-"+release) // hvmloader
	if err != nil {
		return err
	}
	root, err := unpacked(ctx, a, append(packages, tools...), out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	return writeInitramfs(out, func(w *cpioWriter) error { return addFiles(w, root, hvmFiles) })
}

// unpacked unpacks packages and notes which they were.
func unpacked(ctx context.Context, a *apt, packages []string, out string) (root string, err error) {
	list := filepath.Join(out, packagesFile)
	if err := os.WriteFile(list, []byte(strings.Join(packages, "\n")+"\n"), 0o644); err != nil {
		return "", fault.New(fault.Environment, err)
	}
	root = filepath.Join(filepath.Dir(out), "root")
	if err := a.unpack(ctx, packages, root); err != nil {
		os.RemoveAll(root)
		return "", err
	}
	return root, nil
}

// addScripts adds this package's own files.
func addScripts(w *cpioWriter) error {
	for _, f := range []struct{ from, to string }{
		{"init", "init"}, {"block", "etc/xen/scripts/block"}, {"vif", "etc/xen/scripts/vif-bridge"}, {"xl.conf", "etc/xen/xl.conf"},
	} {
		text, err := scripts.ReadFile(path.Join("dom0", f.from))
		if err != nil {
			return fmt.Errorf("reading dom0's scripts: %w", err)
		}
		w.bytes(f.to, text, 0o755)
	}
	return nil
}

// addFiles adds what of the unpacked packages matches a pattern; links stay
// links. Every pattern must match something.
func addFiles(w *cpioWriter, root string, patterns []string) error {
	tree := os.DirFS(root)
	for _, pattern := range patterns {
		names, err := fs.Glob(tree, pattern)
		if err != nil {
			return fmt.Errorf("reading the pattern %s: %w", pattern, err)
		}
		for _, name := range names {
			if err := addFile(w, root, name); err != nil {
				return err
			}
		}
		if len(names) == 0 {
			return fault.New(fault.Input, fmt.Errorf("no package holds %s", pattern))
		}
	}
	return nil
}

// addFile adds a file or a link; folders come by themselves.
func addFile(w *cpioWriter, root, name string) error {
	at := filepath.Join(root, name)
	info, err := os.Lstat(at)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := os.Readlink(at)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		w.link(name, target)
	case 0:
		return w.file(name, at, uint64(info.Mode().Perm()))
	}
	return nil
}

// addModules adds dom0's drivers, with what they need, and their list.
func addModules(ctx context.Context, w *cpioWriter, p packaged.Package) error {
	closure, err := packaged.Resolve(ctx, p, modules)
	if err != nil {
		return err
	}
	if len(closure.Missing) > 0 {
		return fault.New(fault.Input, fmt.Errorf("kernel %s has no %s", p.Version, strings.Join(closure.Missing, ", ")))
	}
	var list strings.Builder
	for _, m := range closure.Load {
		name := path.Join("lib/modules", filepath.Base(m.Path))
		if err := w.file(name, m.Path, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&list, "/%s\n", name)
	}
	w.bytes(moduleList, []byte(list.String()), 0o644)
	return nil
}

func gunzip(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("opening the hypervisor: %w", err))
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("unpacking the hypervisor: %w", err))
	}
	return writeFile(to, z)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("opening %s: %w", filepath.Base(from), err))
	}
	defer in.Close()
	return writeFile(to, in)
}

func writeFile(to string, r io.Reader) error {
	out, err := os.Create(to)
	if err != nil {
		return fault.New(fault.Environment, err)
	}
	_, err = io.Copy(out, r)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing %s: %w", filepath.Base(to), err))
	}
	return nil
}
