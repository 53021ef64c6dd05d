// Package diff compares two images, whoever made them: how they are wrapped,
// their partitions, the files and packages in their filesystems, and their
// bytes, by whose they are.
//
//	report, err := diff.Run(ctx, "old.qcow2", "new.ova", diff.Options{})
//	err = report.WriteText(os.Stdout)
//
// # What counts
//
// Two images are the same when their disks hold the same bytes and, where both
// describe a machine or are container images, these are the same too. The
// container of a disk is told and does not count: a disk and what it was
// converted into are the same.
//
// # How it is done
//
// Both images are read at the same time, holes not at all. Bytes are compared
// at their offsets, as cmp(1) does, and named by the two ledgers. The trees of
// filesystems are compared in one walk over both, in their common order, so
// that memory does not grow with the number of files; contents are compared
// directly, and only those that differ are hashed. A volume whose bytes are
// equal is not walked. Lists in a report are bounded, counts are not.
//
// Partitions belong together when they have the same GUID, else by type and
// name, offset or number.
package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/source"
)

// Section is a part of a comparison.
type Section string

// The sections.
const (
	Description Section = "description" // of machines and container images
	Partitions  Section = "partitions"  // with their filesystems
	Files       Section = "files"
	Packages    Section = "packages"
	Bytes       Section = "bytes"
)

// Sections returns all of them.
func Sections() []Section { return []Section{Description, Partitions, Files, Packages, Bytes} }

// Attribute is what may be ignored of a file.
type Attribute string

// The attributes.
const (
	Mode   Attribute = "mode"
	Owner  Attribute = "owner"
	Mtime  Attribute = "mtime"
	Xattrs Attribute = "xattrs"
)

// Attributes returns all of them.
func Attributes() []Attribute { return []Attribute{Mode, Owner, Mtime, Xattrs} }

// DefaultLimit is how many rows of a list a report keeps.
const DefaultLimit = 10_000

// Options are what to compare.
type Options struct {
	// Only are the sections that are compared; all when it is empty.
	Only []Section
	// Ignore are attributes in which files may differ.
	Ignore []Attribute
	// Limit is how many rows each list keeps; 0 stands for [DefaultLimit].
	Limit int
	// Stat leaves out the lists: only their counts are reported.
	Stat bool
}

func (o Options) wants(s Section) bool { return len(o.Only) == 0 || slices.Contains(o.Only, s) }

func (o Options) ignores(a Attribute) bool { return slices.Contains(o.Ignore, a) }

// Report says in what two images differ. Sizes and offsets are in bytes.
type Report struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Same tells that nothing differs of what counts and was compared.
	Same bool `json:"same"`
	// Container is how the images are wrapped, which does not count.
	Container []Fact `json:"container,omitempty"`
	// Description is what they say of machines, or of containers.
	Description []Fact `json:"description,omitempty"`
	Disks       []Disk `json:"disks,omitempty"`
}

// Side is one of the images.
type Side struct {
	Path   string `json:"path"`
	Format string `json:"format"`
	Size   int64  `json:"size"` // of the file
}

// Fact is a value that differs. What one side does not have is empty.
type Fact struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// compare adds a fact if its values differ.
func compare(facts []Fact, what string, a, b any) []Fact {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		return append(facts, Fact{what, x, y})
	}
	return facts
}

// Run compares the images at two paths. What cannot be read as an image is an
// error of kind [fault.Input].
func Run(ctx context.Context, a, b string, o Options) (*Report, error) {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	c := &comparison{Options: o, report: &Report{Same: true}}
	defer c.close()
	if err := c.run(ctx, [2]string{a, b}); err != nil {
		if cause := ctx.Err(); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return c.report, nil
}

// comparison is a run. Pairs of things are the first image's and the second's.
type comparison struct {
	Options
	sources [2]*source.Source
	report  *Report
}

func (c *comparison) close() {
	for _, s := range c.sources {
		if s != nil {
			s.Close() // it was read, and nothing more is wanted of it
		}
	}
}

func (c *comparison) run(ctx context.Context, paths [2]string) error {
	err := both(ctx, func(ctx context.Context, i int) error {
		s, err := source.Open(ctx, paths[i])
		if err == nil {
			c.sources[i] = s
			err = s.Refuse()
		}
		return about(paths[i], err)
	})
	if err != nil {
		return err
	}
	if err := c.compareContainers(ctx); err != nil {
		return err
	}
	return c.compareDisks(ctx)
}

// both runs a step of both images at the same time.
func both(ctx context.Context, step func(ctx context.Context, i int) error) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for i := range 2 {
		tasks.Go(func() error { return step(ctx, i) })
	}
	return tasks.Wait()
}

// about names the image that an error is of.
func about(path string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("comparing %s: %w", path, source.Unreadable(path, err))
}

// ParseSections reads the names of sections.
func ParseSections(names []string) ([]Section, error) { return parse("section", names, Sections()) }

// ParseAttributes reads the names of attributes.
func ParseAttributes(names []string) ([]Attribute, error) {
	return parse("attribute", names, Attributes())
}

func parse[T ~string](kind string, names []string, known []T) ([]T, error) {
	var list []T
	for _, name := range names {
		if !slices.Contains(known, T(name)) {
			words := make([]string, len(known))
			for i, k := range known {
				words[i] = string(k)
			}
			return nil, fault.New(fault.Usage, fmt.Errorf("there is no %s %q", kind, name), "choose from "+strings.Join(words, ", "))
		}
		list = append(list, T(name))
	}
	return list, nil
}
