package apt

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

// Resolve returns the packages and everything they depend on, from an empty
// system, without recommendations, ordered by name. A name may carry a
// version, "name=version".
//
// An unknown package or dependencies that cannot be met are errors of kind
// fault.Input.
func (c *Client) Resolve(ctx context.Context, names []string) ([]recipes.LockedPackage, error) {
	s, err := c.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.closure(ctx, names)
}

// ResolveMatching is Resolve, reduced to the packages whose name matches. It
// finds the real package behind a virtual or meta package: the kernel image
// that linux-image-cloud-amd64 stands for, say.
func (c *Client) ResolveMatching(ctx context.Context, names []string, match *regexp.Regexp) ([]recipes.LockedPackage, error) {
	all, err := c.Resolve(ctx, names)
	if err != nil {
		return nil, err
	}
	var out []recipes.LockedPackage
	for _, p := range all {
		if match.MatchString(p.Name) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Input, fmt.Errorf("%s leads to no package that matches %s",
			strings.Join(names, ", "), match))
	}
	return out, nil
}

// ResolveOnly returns just these packages, without what they depend on.
func (c *Client) ResolveOnly(ctx context.Context, names []string) ([]recipes.LockedPackage, error) {
	s, err := c.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := checkNames(names); err != nil {
		return nil, err
	}
	return s.show(ctx, names)
}

// installs matches a line of apt's simulation: the name, perhaps with an
// architecture, and the version.
var installs = regexp.MustCompile(`^Inst ([^\s:]+)(?::\S+)? \((\S+) `)

func (s *state) closure(ctx context.Context, names []string) ([]recipes.LockedPackage, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	args := append([]string{"install", "--simulate", "--yes", "--"}, names...)
	out, said, err := s.run(ctx, s.dir, "apt-get", args...)
	if err != nil {
		return nil, s.explain(ctx, names, string(out), said, err)
	}
	var pinned []string
	for line := range strings.Lines(string(out)) {
		if m := installs.FindStringSubmatch(line); m != nil {
			pinned = append(pinned, m[1]+"="+m[2])
		}
	}
	return s.show(ctx, pinned)
}

// show reads digests and sizes from the package lists.
func (s *state) show(ctx context.Context, names []string) ([]recipes.LockedPackage, error) {
	out, said, err := s.run(ctx, s.dir, "apt-cache", append([]string{"show", "--no-all-versions", "--"}, names...)...)
	// apt-cache calls it an error that none of the names is known; which they
	// are, is told below.
	if err != nil && !slices.Contains(said, "No packages found") {
		return nil, s.explain(ctx, names, "", said, err)
	}
	offered, err := parsePackages(string(out))
	if err != nil {
		return nil, fmt.Errorf("reading the package lists: %w", err)
	}
	var list []recipes.LockedPackage
	for _, name := range names {
		name, version, _ := strings.Cut(name, "=")
		p, ok := find(offered, name, version)
		if !ok {
			return nil, s.unknown(ctx, name, version)
		}
		list = append(list, p)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, nil
}

// find returns the first package of a name, and of a version unless it is "".
// The lists name the better source first.
func find(list []recipes.LockedPackage, name, version string) (recipes.LockedPackage, bool) {
	for _, p := range list {
		if p.Name == name && (version == "" || p.Version == version) {
			return p, true
		}
	}
	return recipes.LockedPackage{}, false
}

// validName is the form of package names and versions (Debian Policy 5.6.1,
// 5.6.12). A trailing plus or minus has a meaning for apt-get, except in a
// name that exists, so minus is left out.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*[a-z0-9+](=[0-9A-Za-z.+~:-]+)?$`)

func checkNames(names []string) error {
	if len(names) == 0 {
		return fault.New(fault.Input, errors.New("no package is named"))
	}
	for _, name := range names {
		if !validName.MatchString(name) {
			return fault.New(fault.Input, fmt.Errorf("%q is not the name of a Debian package", name),
				"a name has lower-case letters, digits and + - . only, and may carry a version: name=version")
		}
	}
	return nil
}
