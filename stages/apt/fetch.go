package apt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store is where fetched packages go. The builder's store is one.
type Store interface {
	// Open returns an artifact; an error means that it is not there.
	Open(ctx context.Context, desc ocispec.Descriptor) (builder.Blob, error)
	// Ingest stores what fill writes if it has this digest and size.
	Ingest(ctx context.Context, expected digest.Digest, size int64, mediaType string, fill func(w io.Writer) error) (ocispec.Descriptor, error)
}

// Progress reports bytes of package files, done and in total.
type Progress func(done, total int64, unit builder.Unit)

// Fetch brings exactly these packages into the store and returns their
// descriptors in the same order. Packages that the store holds are not fetched
// again; progress may be nil.
//
// A version that is no longer offered, a file that differs from its digest and
// a source that cannot be reached are errors of kind fault.Input.
func (c *Client) Fetch(ctx context.Context, store Store, pkgs []recipes.LockedPackage, progress Progress) ([]ocispec.Descriptor, error) {
	if progress == nil {
		progress = func(int64, int64, builder.Unit) {}
	}
	descs := make([]ocispec.Descriptor, len(pkgs))
	var lacking []recipes.LockedPackage
	var have, total int64
	for i, p := range pkgs {
		d, err := describe(p)
		if err != nil {
			return nil, err
		}
		descs[i] = d
		total += p.Size
		if blob, err := store.Open(ctx, d); err == nil {
			blob.Close()
			have += p.Size
			continue
		}
		lacking = append(lacking, p)
	}
	progress(have, total, builder.Bytes)
	if len(lacking) == 0 {
		return descs, nil
	}
	report := func(done int64) { progress(have+done, total, builder.Bytes) }
	err := c.download(ctx, lacking, report, func(path string, p recipes.LockedPackage) error {
		return ingest(ctx, store, path, p)
	})
	if err != nil {
		return nil, err
	}
	progress(total, total, builder.Bytes)
	return descs, nil
}

// describe turns a lock entry into the descriptor of its artifact.
func describe(p recipes.LockedPackage) (ocispec.Descriptor, error) {
	d := digest.NewDigestFromEncoded(digest.SHA256, p.SHA256)
	if err := d.Validate(); err != nil {
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("the lock of package %s: %w", p.Name, err))
	}
	if err := checkNames([]string{p.Name + "=" + p.Version}); err != nil {
		return ocispec.Descriptor{}, err
	}
	return ocispec.Descriptor{MediaType: MediaType, Digest: d, Size: p.Size}, nil
}

// fetching is what the names of folders for packages begin with.
const fetching = "fetch-"

// download fetches packages into a temporary folder and hands each file on.
func (c *Client) download(ctx context.Context, pkgs []recipes.LockedPackage, report func(int64), use func(path string, p recipes.LockedPackage) error) error {
	s, err := c.ready(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	// The lists may change again once nobody reads them.
	if err := flock.File(s.lock, flock.Shared); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("locking apt's private folder: %w", err))
	}
	dir, err := os.MkdirTemp(s.dir, fetching)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("preparing a folder for packages: %w", err))
	}
	defer os.RemoveAll(dir)
	stop := watch(dir, report)
	err = s.get(ctx, dir, pkgs)
	stop()
	if err != nil {
		return err
	}
	return deliver(dir, pkgs, use)
}

// get has apt download the packages; when something is not there, once more
// with fresh lists.
func (s *state) get(ctx context.Context, dir string, pkgs []recipes.LockedPackage) error {
	args := []string{"download", "--"}
	for _, p := range pkgs {
		args = append(args, p.Name+"="+p.Version)
	}
	_, _, err := s.run(ctx, dir, "apt-get", args...)
	if !errors.Is(err, errGone) {
		return err
	}
	s.o.Log.Info("a package is not where the lists say; refreshing them")
	if err := flock.File(s.lock, flock.Exclusive); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("locking apt's private folder: %w", err))
	}
	if err := s.update(ctx); err != nil {
		return err
	}
	_, _, err = s.run(ctx, dir, "apt-get", args...)
	if !errors.Is(err, errGone) {
		return err
	}
	for _, p := range pkgs {
		if _, err := s.show(ctx, []string{p.Name + "=" + p.Version}); err != nil {
			return err
		}
	}
	return fault.New(fault.Input, fmt.Errorf("fetching packages: %w", err),
		"run `imgbuild lock` to take the versions that are offered now")
}

// deliver finds each package's file by its digest.
func deliver(dir string, pkgs []recipes.LockedPackage, use func(path string, p recipes.LockedPackage) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	bySum := map[string]string{}
	for _, path := range files {
		sum, err := sumFile(path)
		if err != nil {
			return err
		}
		bySum[sum] = path
	}
	for _, p := range pkgs {
		path, ok := bySum[strings.ToLower(p.SHA256)]
		if !ok {
			return differs(p, files)
		}
		if err := use(path, p); err != nil {
			return err
		}
	}
	return nil
}

// differs explains a package whose file is not the one that was locked.
func differs(p recipes.LockedPackage, files []string) error {
	i := slices.IndexFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), p.Name+"_") })
	if i < 0 {
		return fault.New(fault.Input, fmt.Errorf("fetching package %s %s: apt brought no file", p.Name, p.Version))
	}
	got, err := sumFile(files[i])
	if err != nil {
		return err
	}
	return fault.New(fault.Input, fmt.Errorf("package %s %s differs from its lock: its digest is sha256:%s, locked is sha256:%s",
		p.Name, p.Version, got, p.SHA256),
		"the source replaced the file under the same version; run `imgbuild lock` if you trust it")
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading package %s: %w", filepath.Base(path), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func ingest(ctx context.Context, store Store, path string, p recipes.LockedPackage) error {
	d, err := describe(p)
	if err != nil {
		return err
	}
	_, err = store.Ingest(ctx, d.Digest, p.Size, MediaType, func(w io.Writer) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("storing package %s %s: %w", p.Name, p.Version, err)
	}
	return os.Remove(path)
}

// watch reports the size of what has arrived in a folder until stopped: apt
// itself tells its progress only to a terminal.
func watch(dir string, report func(int64)) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			entries, _ := os.ReadDir(dir)
			var sum int64
			for _, e := range entries {
				if fi, err := e.Info(); err == nil {
					sum += fi.Size()
				}
			}
			report(sum)
		}
	}()
	return func() { close(done); <-ended }
}
