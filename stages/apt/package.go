package apt

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/recipes"
)

// parsePackages reads the paragraphs that apt-cache show prints.
func parsePackages(text string) ([]recipes.LockedPackage, error) {
	var list []recipes.LockedPackage
	for _, fields := range paragraphs(text) {
		p := recipes.LockedPackage{
			Name:    fields["package"],
			Version: fields["version"],
			Arch:    fields["architecture"],
			SHA256:  fields["sha256"],
		}
		size, err := strconv.ParseInt(fields["size"], 10, 64)
		if err != nil || size <= 0 {
			return nil, fmt.Errorf("package %s %s: size %q is not a number", p.Name, p.Version, fields["size"])
		}
		p.Size = size
		if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 {
			return nil, fmt.Errorf("package %s %s has no SHA-256 digest in the lists", p.Name, p.Version)
		}
		list = append(list, p)
	}
	return list, nil
}

// paragraphs splits control data (Debian Policy 5.1) into fields by lower-case
// name. Continuation lines keep their line break and lose one space.
func paragraphs(text string) []map[string]string {
	var list []map[string]string
	var fields map[string]string
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			fields, last = nil, ""
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += "\n" + line[1:]
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			if fields == nil {
				fields = map[string]string{}
				list = append(list, fields)
			}
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	return list
}
