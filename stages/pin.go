package stages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/apt"
	"github.com/imgbuild/imgbuild/stages/files"
)

// PinMode says what may happen to the lock.
type PinMode int

// The pin modes.
const (
	// PinStrict makes a lock when there is none, and refuses what differs
	// from the one there is.
	PinStrict PinMode = iota
	// PinChanged accepts changed local files and pins what is new; packages
	// and images that are pinned stay as they are.
	PinChanged
	// PinAll resolves everything anew.
	PinAll
)

// Pin returns a lock that pins every input of the recipe, and whether it
// differs from the one beside the recipe. It writes nothing. An input that is
// missing, or that differs from the lock when that must not change, is a
// fault.Input.
func (o Options) Pin(ctx context.Context, mode PinMode) (lock *recipes.Lock, changed bool, err error) {
	path := recipes.LockPath(o.Recipe.Path)
	old, err := recipes.ReadLock(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old, mode = &recipes.Lock{Version: recipes.LockVersion}, PinAll
	case err != nil && mode == PinAll:
		old = &recipes.Lock{Version: recipes.LockVersion}
	case err != nil:
		return nil, false, err
	}
	lock = &recipes.Lock{Version: recipes.LockVersion, Classes: old.Classes}
	if lock.Files, err = pinFiles(o.Recipe); err != nil {
		return nil, false, err
	}
	if lock.Packages, err = o.pinPackages(ctx, old, mode); err != nil {
		return nil, false, err
	}
	if lock.Images, err = o.pinImages(ctx, old, mode); err != nil {
		return nil, false, err
	}
	differences := old.Diff(lock)
	if len(differences) == 0 {
		return lock, false, nil
	}
	if mode == PinStrict {
		return nil, false, fault.New(fault.Input, fmt.Errorf("inputs differ from %s:\n  %s", path, strings.Join(differences, "\n  ")),
			"`imgbuild build --update-lock` accepts changed files; `imgbuild lock` pins everything anew")
	}
	return lock, true, nil
}

// pinFiles digests the local files of a recipe, and those that its jars load.
func pinFiles(r *recipes.Resolved) (map[string]recipes.LockedFile, error) {
	pinned := map[string]recipes.LockedFile{}
	for _, abs := range localFiles(r) {
		sum, size, err := files.Digest(abs)
		if err != nil {
			return nil, fault.New(fault.Input, err)
		}
		pinned[LocalName(r, abs)] = recipes.LockedFile{SHA256: sum, Size: size}
	}
	return pinned, nil
}

// groupJavaLibraries are the libraries that any JDK for glibc needs.
const groupJavaLibraries = "java libraries"

// packageLocale is the package with the locale C.UTF-8, which no JDK depends on.
const packageLocale = "libc-bin"

// request is a group of packages, how it is resolved, and the key of the
// recipe that asks for it.
type request struct {
	group   string
	key     string
	resolve func(context.Context, *apt.Client) ([]recipes.LockedPackage, error)
}

// closureOf asks for packages and all they depend on.
func closureOf(group, key string, names ...string) request {
	return request{group, key, func(ctx context.Context, c *apt.Client) ([]recipes.LockedPackage, error) {
		return c.Resolve(ctx, names)
	}}
}

// only asks for packages without what they depend on.
func only(group, key string, names ...string) request {
	return request{group, key, func(ctx context.Context, c *apt.Client) ([]recipes.LockedPackage, error) {
		return c.ResolveOnly(ctx, names)
	}}
}

// locate says which line of the recipe an error is about.
func (q request) locate(r *recipes.Resolved, err error) error {
	if at := r.Origin(q.key); err != nil && at.File != "" {
		return fmt.Errorf("%s: %s: %w", at, q.key, err)
	}
	return err
}

// kernelPackages match the packages of a kernel image's closure that hold a
// kernel.
var kernelPackages = regexp.MustCompile(`^linux-image-`)

// requests are the groups of packages that a recipe needs.
func requests(r *recipes.Recipe) []request {
	list := []request{only(groupSyslinux, "", "syslinux-common"), only(groupStub, "", "systemd-boot-efi")}
	if asksFor(r, output.ISO) {
		list = append(list, only(groupIsolinux, "outputs", "isolinux"))
	}
	if u := r.Kernel.Universal; u != nil {
		list = append(list, request{sourceGroup(u.Series), "kernel.universal.series", func(ctx context.Context, c *apt.Client) ([]recipes.LockedPackage, error) {
			return c.KernelSource(ctx, u.Series)
		}})
	}
	if name := r.Kernel.Package; name != "" {
		list = append(list, request{name, "kernel.package", func(ctx context.Context, c *apt.Client) ([]recipes.LockedPackage, error) {
			return c.ResolveMatching(ctx, []string{name}, kernelPackages)
		}})
	}
	if jvm := r.Runtime.JVM; jvm != nil && jvm.JDK.Package != "" {
		list = append(list, closureOf(jvm.JDK.Package, "runtime.jvm.jdk.package", jvm.JDK.Package, packageLocale))
	}
	if jvm := r.Runtime.JVM; jvm != nil && jvm.JDK.Path != "" {
		list = append(list, closureOf(groupJavaLibraries, "runtime.jvm.jdk.path", "libc6", "libstdc++6", "zlib1g", packageLocale))
	}
	for i, p := range r.App.Packages {
		ask := closureOf
		if p.Alone {
			ask = only
		}
		list = append(list, ask(packageGroup(p), fmt.Sprintf("app.packages[%d]", i), p.Name))
	}
	return list
}

// packageGroup names the group of a request for an app's package.
func packageGroup(p recipes.PackageFiles) string {
	if p.Alone {
		return p.Name + " alone"
	}
	return p.Name
}

func sourceGroup(series string) string { return "linux-source-" + series }

// pinPackages resolves what the mode says, and keeps the rest.
func (o Options) pinPackages(ctx context.Context, old *recipes.Lock, mode PinMode) (map[string][]recipes.LockedPackage, error) {
	pinned := map[string][]recipes.LockedPackage{}
	for _, q := range requests(&o.Recipe.Recipe) {
		if have, ok := old.Packages[q.group]; ok && mode != PinAll {
			pinned[q.group] = have
			continue
		}
		if mode == PinStrict {
			return nil, notPinned(o.Recipe, q.group)
		}
		got, err := q.resolve(ctx, o.Apt)
		if err != nil {
			return nil, q.locate(o.Recipe, err)
		}
		pinned[q.group] = got
	}
	return pinned, nil
}

func notPinned(r *recipes.Resolved, what string) error {
	return fault.New(fault.Input, fmt.Errorf("%s does not pin %s, which the recipe asks for", recipes.LockPath(r.Path), what),
		"`imgbuild build --update-lock` or `imgbuild lock` pins it")
}

// imageRefs are the container images that a recipe names, and whether plain
// HTTP is allowed for each.
func imageRefs(r *recipes.Recipe) map[string]bool {
	refs := map[string]bool{}
	if oci := r.Runtime.OCI; oci != nil {
		refs[oci.Image] = oci.PlainHTTP
	}
	if jvm := r.Runtime.JVM; jvm != nil && jvm.JDK.OCI != "" {
		refs[jvm.JDK.OCI] = false
	}
	return refs
}

// pinImages resolves references to digests. One that is pinned stays so, unless
// all is pinned anew: a tag may have moved.
func (o Options) pinImages(ctx context.Context, old *recipes.Lock, mode PinMode) (map[string]recipes.LockedImage, error) {
	pinned := map[string]recipes.LockedImage{}
	refs := imageRefs(&o.Recipe.Recipe)
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		name := imageName(o.Recipe, ref)
		if have, ok := old.Images[name]; ok && mode != PinAll {
			pinned[name] = have
			continue
		}
		if mode == PinStrict {
			return nil, notPinned(o.Recipe, ref)
		}
		got, err := o.images(refs[ref]).Resolve(ctx, ref)
		if err != nil {
			return nil, err
		}
		pinned[name] = recipes.LockedImage{Digest: got.String()}
	}
	return pinned, nil
}

// imageName is the name of an image in the lock: local ones are named relative
// to the recipe.
func imageName(r *recipes.Resolved, ref string) string {
	for _, prefix := range []string{"oci:", "archive:"} {
		if abs, ok := strings.CutPrefix(ref, prefix); ok {
			return prefix + LocalName(r, abs)
		}
	}
	return ref
}
