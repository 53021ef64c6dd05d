package recipes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Diff says in words how found differs from the lock, a line for each input;
// it is empty when they agree. The class list is made from the other inputs,
// so only what it was trained for is compared.
func (l *Lock) Diff(found *Lock) []string {
	var lines []string
	for _, group := range union(l.Packages, found.Packages) {
		lines = append(lines, diffPackages(group, l.Packages[group], found.Packages[group])...)
	}
	for _, path := range union(l.Files, found.Files) {
		a, locked := l.Files[path]
		b, present := found.Files[path]
		lines = append(lines, diffInput(path, "sha256 "+short(a.SHA256), "sha256 "+short(b.SHA256), locked, present, a == b)...)
	}
	for _, ref := range union(l.Images, found.Images) {
		a, locked := l.Images[ref]
		b, present := found.Images[ref]
		lines = append(lines, diffInput(ref, "digest "+short(a.Digest), "digest "+short(b.Digest), locked, present, a == b)...)
	}
	if l.Classes != nil && found.Classes != nil && l.Classes.Key != found.Classes.Key {
		lines = append(lines, "classes: the locked list was trained for another app, JDK or training run")
	}
	return lines
}

// Check returns a [fault.Input] that says how found differs from the lock, or
// nil.
func (l *Lock) Check(found *Lock) error {
	lines := l.Diff(found)
	if len(lines) == 0 {
		return nil
	}
	err := errors.New("inputs differ from the lock:\n  " + strings.Join(lines, "\n  "))
	return fault.New(fault.Input, err, "run `imgbuild lock` to accept what was found")
}

// diffPackages compares the packages of a group.
func diffPackages(group string, locked, found []LockedPackage) []string {
	a, b := byName(locked), byName(found)
	var lines []string
	for _, name := range union(a, b) {
		p, inLock := a[name]
		q, present := b[name]
		was, is := p.Version, q.Version
		if was == is {
			was, is = was+" with sha256 "+short(p.SHA256), is+" with sha256 "+short(q.SHA256)
		}
		lines = append(lines, diffInput(group+": "+name, was, is, inLock, present, p == q)...)
	}
	return lines
}

// byName indexes packages by name and architecture.
func byName(packages []LockedPackage) map[string]LockedPackage {
	m := make(map[string]LockedPackage, len(packages))
	for _, p := range packages {
		m[p.Name+":"+p.Arch] = p
	}
	return m
}

// diffInput is the line for one input, if it differs.
func diffInput(name, was, is string, locked, found, same bool) []string {
	switch {
	case !locked:
		return []string{fmt.Sprintf("%s: not locked, found %s", name, is)}
	case !found:
		return []string{fmt.Sprintf("%s: locked %s, not used any more", name, was)}
	case !same:
		return []string{fmt.Sprintf("%s: locked %s, found %s", name, was, is)}
	}
	return nil
}

// union is the sorted keys of both maps.
func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// short is the beginning of a digest, enough to tell two apart.
func short(digest string) string {
	const enough = 12
	digest = strings.TrimPrefix(digest, "sha256:")
	if len(digest) <= enough {
		return digest
	}
	return digest[:enough] + "…"
}
