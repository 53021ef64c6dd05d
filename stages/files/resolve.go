package files

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks bounds how many links are followed from one path, as the kernel
// does (path_resolution(7)).
const maxLinks = 40

// Resolve follows the links in a path of a tree as if the tree were the root:
// absolute targets begin at its top, and ".." stops there. It returns an
// absolute path of the tree without links.
func Resolve(tree, name string) (string, error) {
	at, rest := "/", elements(name)
	for links := 0; len(rest) > 0; {
		element := rest[0]
		rest = rest[1:]
		next := path.Join(at, element)
		host := filepath.Join(tree, next)
		info, err := os.Lstat(host)
		if err != nil {
			return "", err
		}
		if element == ".." || info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: too many links", name)
		}
		target, err := os.Readlink(host)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(elements(target), rest...)
	}
	return at, nil
}

// elements splits a path; empty ones and dots are left out.
func elements(p string) []string {
	var list []string
	for _, e := range strings.Split(p, "/") {
		if e != "" && e != "." {
			list = append(list, e)
		}
	}
	return list
}
