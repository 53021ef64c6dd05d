package recipes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/imgbuild/imgbuild/fault"
)

// LockVersion is the version of the lock's format.
const LockVersion = 1

// Lock pins every input of a recipe by digest. It is a file beside the
// recipe, made by `imgbuild lock` and kept under version control; a build
// refuses what differs from it. It holds nothing of the machine it was made
// on.
type Lock struct {
	// Version is LockVersion.
	Version int `json:"version"`
	// Packages by what was asked for, such as "openjdk-17-jdk-headless": that
	// package and all it depends on, sorted by name.
	Packages map[string][]LockedPackage `json:"packages,omitempty"`
	// Files and folders by their path, relative to the recipe.
	Files map[string]LockedFile `json:"files,omitempty"`
	// Images by reference.
	Images map[string]LockedImage `json:"images,omitempty"`
	// Classes is the list that a training run made.
	Classes *LockedClasses `json:"classes,omitempty"`
}

// LockedPackage is a Debian package. Size is in bytes.
type LockedPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	SHA256  string `json:"sha256"` // of the .deb file, in hexadecimal
	Size    int64  `json:"size"`
}

// LockedFile is a file, or a folder with all that is in it.
type LockedFile struct {
	// SHA256 of a file's bytes, or a digest over the names, modes and digests
	// in a folder, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Size in bytes; of a folder, the sum of its files.
	Size int64 `json:"size"`
}

// LockedImage is a container image.
type LockedImage struct {
	Digest string `json:"digest"` // of the manifest: "sha256:…"
}

// LockedClasses are the classes to put into the CDS archive.
type LockedClasses struct {
	// Key says what was trained: app, JDK and training run.
	Key string `json:"key"`
	// List of class names, sorted.
	List []string `json:"list"`
}

// LockPath is where the lock of a recipe stands: name.lock.json for
// name.yaml.
func LockPath(recipePath string) string {
	ext := filepath.Ext(recipePath)
	if ext == ".yaml" || ext == ".yml" {
		recipePath = strings.TrimSuffix(recipePath, ext)
	}
	return recipePath + ".lock.json"
}

// maxLock bounds the size of a lock file, in bytes.
const maxLock = 64 << 20

// ReadLock reads a lock file, strictly. The error is a [fault.Input]; it
// wraps fs.ErrNotExist when there is no file.
func ReadLock(path string) (*Lock, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Input, fmt.Errorf("reading lock: %w", err), "run `imgbuild lock` to make it")
	}
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading lock: %w", err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLock+1))
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading lock %s: %w", path, err))
	}
	l, err := parseLock(data)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("reading lock %s: %w", path, err), "run `imgbuild lock` to make it anew")
	}
	return l, nil
}

// parseLock reads the bytes of a lock file.
func parseLock(data []byte) (*Lock, error) {
	if len(data) > maxLock {
		return nil, fmt.Errorf("the file has more than %d bytes", maxLock)
	}
	var version struct{ Version int }
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, jsonError(data, err)
	}
	if version.Version != LockVersion {
		return nil, fmt.Errorf("the lock has version %d; this program reads version %d", version.Version, LockVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	l := &Lock{}
	if err := d.Decode(l); err != nil {
		return nil, jsonError(data, err)
	}
	return l, l.validate()
}

// jsonError adds the line to an error of the JSON decoder that knows it.
func jsonError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	offset := int64(-1)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	if offset < 0 || offset > int64(len(data)) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:offset], []byte("\n")), err)
}

var (
	hexDigest   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	imageDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// validate checks what the types cannot.
func (l *Lock) validate() error {
	for _, group := range slices.Sorted(maps.Keys(l.Packages)) {
		for i, p := range l.Packages[group] {
			if p.Name == "" || p.Version == "" || p.Arch == "" || !hexDigest.MatchString(p.SHA256) || p.Size < 0 {
				return fmt.Errorf("packages of %s: package %d (%s) lacks a name, a version, an architecture, a sha256 or a size", group, i, p.Name)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(l.Files)) {
		if f := l.Files[path]; !hexDigest.MatchString(f.SHA256) || f.Size < 0 {
			return fmt.Errorf("file %s lacks a sha256 or a size", path)
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(l.Images)) {
		if !imageDigest.MatchString(l.Images[ref].Digest) {
			return fmt.Errorf("image %s lacks a digest", ref)
		}
	}
	if l.Classes != nil && !slices.IsSorted(l.Classes.List) {
		return errors.New("the list of classes is not sorted")
	}
	return nil
}

// WriteLock writes a lock file, which then is either the old or the new one
// whole. The bytes depend on the lock alone.
func WriteLock(path string, l *Lock) error {
	sorted := *l
	sorted.Version = LockVersion
	sorted.Packages = make(map[string][]LockedPackage, len(l.Packages))
	for group, packages := range l.Packages {
		sorted.Packages[group] = sortPackages(packages)
	}
	if l.Classes != nil {
		sorted.Classes = &LockedClasses{Key: l.Classes.Key, List: slices.Sorted(slices.Values(l.Classes.List))}
	}
	if err := sorted.validate(); err != nil {
		return fmt.Errorf("writing lock: %w", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(sorted); err != nil {
		return fmt.Errorf("writing lock: %w", err)
	}
	if err := renameio.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing lock: %w", err))
	}
	return nil
}

func sortPackages(packages []LockedPackage) []LockedPackage {
	return slices.SortedFunc(slices.Values(packages), func(a, b LockedPackage) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version))
	})
}
