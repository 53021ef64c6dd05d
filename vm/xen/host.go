package xen

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
)

// scripts are dom0's own files: what this package adds to the packages.
//
//go:embed dom0
var scripts embed.FS

// Options say what to make.
type Options struct {
	// Cache is the folder that keeps what was made; the user's cache folder
	// by default.
	Cache string
	// HVM adds what guests of mode HVM need, some 50 MB.
	HVM bool
	// Log is told what takes long; it may be nil.
	Log func(string)
}

// Host is a Xen that was made: the paths of its files.
type Host struct {
	Hypervisor string // an ELF with a multiboot header
	Kernel     string // dom0's
	// initramfs are archives, to be joined.
	initramfs []string
}

// Names of the files of a part, in its folder.
const (
	hypervisorFile = "xen"
	kernelFile     = "vmlinuz"
	initramfsFile  = "initramfs"
	packagesFile   = "packages" // what it was made of: name=version, one a line
)

// Make makes a host, or takes the one in the cache. The first time takes about
// a minute and a network. Several processes may call it at once. A package that
// cannot be had is a fault of kind Input.
func Make(ctx context.Context, o Options) (*Host, error) {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	dir, err := folder(o.Cache)
	if err != nil {
		return nil, err
	}
	lock, err := take(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	h := &Host{Hypervisor: filepath.Join(dir, "base", hypervisorFile), Kernel: filepath.Join(dir, "base", kernelFile)}
	parts := map[string]func(context.Context, *apt, string) error{"base": makeBase}
	if o.HVM {
		parts["hvm"] = makeHVM
	}
	for _, part := range []string{"base", "hvm"} {
		build := parts[part]
		if build == nil {
			continue
		}
		if err := makePart(ctx, o, dir, part, build); err != nil {
			return nil, fmt.Errorf("making dom0: %w", err)
		}
		h.initramfs = append(h.initramfs, filepath.Join(dir, part, initramfsFile))
	}
	return h, nil
}

// folder is where a host of this make is kept. Newer packages do not change
// its name: `rm -r` of it gets them.
func folder(cache string) (string, error) {
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fault.New(fault.Environment, fmt.Errorf("finding the cache folder: %w", err))
		}
		cache = filepath.Join(user, "imgbuild")
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q\n", release, basePackages, baseFiles, hvmFiles, modules)
	err := fs.WalkDir(scripts, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := scripts.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("reading dom0's scripts: %w", err)
	}
	return filepath.Join(cache, "xen-"+release+"-"+hex.EncodeToString(h.Sum(nil)[:6])), nil
}

// take makes the folder and locks it, again when it was pruned meanwhile. The
// time of the lock tells the cache when the folder was last used.
func take(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	for {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fault.New(fault.Environment, err)
		}
		lock, err := flock.Wait(ctx, path, flock.Exclusive, nil)
		switch now := time.Now(); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			err = os.Chtimes(path, now, now)
			if err == nil {
				return lock, nil
			}
			lock.Close()
		case ctx.Err() != nil:
			return nil, err
		}
		return nil, fault.New(fault.Environment, fmt.Errorf("locking the cache: %w", err))
	}
}

// making is what the name of a part's folder begins with before it is complete.
const making = "new-"

// makePart makes a part of the host, whose folder is locked, unless it is there.
// It has its name only when it is complete. What killed processes began is
// removed.
func makePart(ctx context.Context, o Options, dir, part string, build func(context.Context, *apt, string) error) error {
	final := filepath.Join(dir, part)
	if exists(final) {
		return nil
	}
	left, err := filepath.Glob(filepath.Join(dir, making+"*"))
	for _, begun := range left {
		err = errors.Join(err, os.RemoveAll(begun))
	}
	if err != nil {
		return fault.New(fault.Environment, err)
	}
	o.Log("getting Xen " + release + " from the package sources, once")
	work, err := os.MkdirTemp(dir, making)
	if err != nil {
		return fault.New(fault.Environment, err)
	}
	defer os.RemoveAll(work)
	a, err := openApt(ctx, filepath.Join(work, "apt"))
	if err != nil {
		return err
	}
	out := filepath.Join(work, part)
	if err := os.Mkdir(out, 0o755); err != nil {
		return fault.New(fault.Environment, err)
	}
	if err := build(ctx, a, out); err != nil {
		return err
	}
	return fault.New(fault.Environment, os.Rename(out, final))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Packages returns what the host was made of: name=version, in order.
func (h *Host) Packages() ([]string, error) {
	var list []string
	for _, archive := range h.initramfs {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(archive), packagesFile))
		if err != nil {
			return nil, fault.New(fault.Environment, fmt.Errorf("reading what dom0 was made of: %w", err))
		}
		list = append(list, strings.Fields(string(text))...)
	}
	return list, nil
}
