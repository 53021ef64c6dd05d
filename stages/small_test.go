package stages

import (
	"slices"
	"testing"

	"github.com/imgbuild/imgbuild/recipes"
)

// Where memory is scarce the root is read in small pieces, and the class archive
// is mapped as it is.
func TestSmallGuests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mib     recipes.Size
		profile string
		cluster int64
		fixed   bool
	}{
		{56, "balanced", 4096, true},
		{96, "balanced", 0, true},
		{256, "balanced", 0, false},
		{256, "fast-start", 0, true},
	} {
		r := &recipes.Recipe{Guest: recipes.Guest{Memory: test.mib << 20, CPUs: 1}}
		r.Runtime.JVM = &recipes.JVM{Profile: test.profile}
		if got := cluster(r.Guest.Memory); got != test.cluster {
			t.Errorf("%d MiB: clusters of %d bytes, want %d", test.mib, got, test.cluster)
		}
		if got := slices.Contains(fitted(r), "-XX:ArchiveRelocationMode=0"); got != test.fixed {
			t.Errorf("%d MiB, %s: the archive is fixed: %v", test.mib, test.profile, got)
		}
	}
}
