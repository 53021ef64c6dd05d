package kernel

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

//go:embed fragments/*.config
var fragmentFiles embed.FS

// seriesPrefix marks the fragments that hold what the kernel series name
// differently.
const seriesPrefix = "linux-"

// Series returns the kernel series with fragments of their own, oldest first.
func Series() []string {
	names, err := fs.Glob(fragmentFiles, "fragments/"+seriesPrefix+"*.config")
	if err != nil {
		return nil // the pattern is well formed
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(strings.TrimPrefix(n, "fragments/"+seriesPrefix), ".config")
	}
	slices.SortFunc(names, compareSeries)
	return names
}

// Fragments returns the built-in fragments for a series such as "6.12": those
// for all series, then that of the newest series which is not newer. A series
// older than all of them is an error.
func Fragments(series string) ([]Fragment, error) {
	if _, _, err := parseSeries(series); err != nil {
		return nil, err
	}
	var own string
	for _, s := range Series() {
		if compareSeries(s, series) <= 0 {
			own = s
		}
	}
	if own == "" {
		return nil, fault.New(fault.Input, fmt.Errorf("no kernel fragments for Linux %s", series),
			"use a kernel source of Linux "+strings.Join(Series(), ", ")+" or newer")
	}
	entries, err := fs.ReadDir(fragmentFiles, "fragments")
	if err != nil {
		return nil, fmt.Errorf("listing kernel fragments: %w", err)
	}
	var all []Fragment
	for _, e := range entries { // sorted by name: digits before linux-
		name := e.Name()
		if strings.HasPrefix(name, seriesPrefix) && name != seriesPrefix+own+".config" {
			continue
		}
		text, err := fragmentFiles.ReadFile("fragments/" + name)
		if err != nil {
			return nil, fmt.Errorf("reading kernel fragment %s: %w", name, err)
		}
		f, err := ParseFragment(name, bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// parseSeries splits "6.12" into its two numbers.
func parseSeries(s string) (major, minor int, err error) {
	a, b, ok := strings.Cut(s, ".")
	major, err1 := strconv.Atoi(a)
	minor, err2 := strconv.Atoi(b)
	if !ok || err1 != nil || err2 != nil || major < 0 || minor < 0 {
		return 0, 0, fault.New(fault.Input, fmt.Errorf("%q is not a kernel series", s),
			"write the first two numbers of the version, such as 6.12")
	}
	return major, minor, nil
}

// compareSeries orders series by number; what is no series counts as zero.
func compareSeries(a, b string) int {
	a1, a2, _ := parseSeries(a)
	b1, b2, _ := parseSeries(b)
	return cmp.Or(cmp.Compare(a1, b1), cmp.Compare(a2, b2))
}
