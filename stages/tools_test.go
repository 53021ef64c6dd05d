package stages

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/builder"
)

// What a program says of itself is part of the keys: a complaint in its place
// would stay the same from one version to the next.
func TestToolsTellTheirVersions(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`\d+\.\d+`)
	complaint := regexp.MustCompile(`(?i)option|usage`)
	for name, tool := range tools {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, said, err := builder.FindTool(t.Context(), tool)
			if err != nil && strings.Contains(err.Error(), "is not installed") && os.Getenv("CI") != "true" {
				t.Skipf("%v: install the Debian package %s", err, tool.Package)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !version.MatchString(said) || complaint.MatchString(said) {
				t.Errorf("%s says that its version is %q", name, said)
			}
		})
	}
}
