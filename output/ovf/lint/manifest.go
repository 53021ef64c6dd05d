package lint

import (
	"context"
	"regexp"
	"strings"

	"github.com/imgbuild/imgbuild/output/ovf"
)

// line is how a manifest names a file: no blank before the bracket, a digest in
// lower case.
var manifestLine = regexp.MustCompile(`^(SHA1|SHA256|SHA512)\(([^)]+)\)= ([0-9a-f]+)$`)

// manifest examines the manifest and the signature (DSP0243 section 5.1).
func (l *linter) manifest(ctx context.Context) error {
	name, text, err := l.pkg.ReadManifest()
	if err != nil {
		return err
	}
	if name == "" {
		l.addFile("manifest-missing", l.pkg.Descriptor, 0, "there is no manifest beside it")
		return nil
	}
	weak := false
	number := 0
	for row := range strings.Lines(string(text)) {
		number++
		row = strings.TrimSuffix(row, "\n")
		if row == "" {
			continue
		}
		m := manifestLine.FindStringSubmatch(row)
		if m == nil {
			l.addFile("manifest-syntax", name, number, "%.120q is not as importers want it", row)
			continue
		}
		weak = weak || m[1] == "SHA1"
	}
	if weak {
		l.addFile("manifest-sha1", name, 0, "its digests are SHA1")
	}
	v, err := l.pkg.Verify(ctx)
	if err != nil {
		return err
	}
	l.verdict(name, v)
	return nil
}

// verdict passes on what the reader of packages says.
func (l *linter) verdict(name string, v ovf.Verdict) {
	for _, p := range v.Problems {
		switch {
		case strings.Contains(p, ".cert: "):
			l.addFile("signature", strings.SplitN(p, ": ", 2)[0], 0, "%s", strings.SplitN(p, ": ", 2)[1])
		case strings.Contains(p, "is no line of a manifest"), strings.Contains(p, "is not known"):
			// Said already, of the line.
		default:
			l.addFile("manifest-digest", name, 0, "%s", p)
		}
	}
}
