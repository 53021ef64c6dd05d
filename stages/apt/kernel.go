package apt

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

const kernelSource = "linux-source-"

var kernelSeries = regexp.MustCompile(`^linux-source-([0-9]+)\.([0-9]+)$`)

// KernelSource returns the package that holds the source of a kernel series,
// "6.12", or of the newest series on offer when series is empty. A series that
// is not offered is an error of kind fault.Input that names those which are.
func (c *Client) KernelSource(ctx context.Context, series string) ([]recipes.LockedPackage, error) {
	s, err := c.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	names, err := s.names(ctx, kernelSource)
	if err != nil {
		return nil, err
	}
	offered := sortSeries(names)
	if len(offered) == 0 {
		return nil, fault.New(fault.Input, fmt.Errorf("the package sources offer no kernel source"),
			"use a kernel package or file: kernel.package, kernel.file")
	}
	if series == "" {
		series = offered[len(offered)-1]
	}
	if !slices.Contains(offered, series) {
		return nil, fault.New(fault.Input, fmt.Errorf("the package sources offer no source of Linux %s", series),
			"offered are "+strings.Join(offered, ", "))
	}
	return s.show(ctx, []string{kernelSource + series})
}

// sortSeries picks the series out of package names, oldest first.
func sortSeries(names []string) []string {
	var found [][2]int
	for _, name := range names {
		if m := kernelSeries.FindStringSubmatch(name); m != nil {
			major, _ := strconv.Atoi(m[1])
			minor, _ := strconv.Atoi(m[2])
			found = append(found, [2]int{major, minor})
		}
	}
	slices.SortFunc(found, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	var series []string
	for _, f := range found {
		series = append(series, fmt.Sprintf("%d.%d", f[0], f[1]))
	}
	return series
}
