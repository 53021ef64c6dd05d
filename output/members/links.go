package members

import (
	"archive/tar"
	"io"
	"path"
)

// link is a hard or a symbolic link to another member, by clean names.
type link struct{ name, target string }

// maxFollowed is how many links may lead to a file one after the other, as on
// Linux (path_resolution(7)).
const maxFollowed = 40

// linked returns what a member leads to. Symbolic links are relative to their
// own folder, hard links to that of the archive; neither leads out of it.
func linked(h *tar.Header) (target string, ok bool) {
	switch h.Typeflag {
	case tar.TypeLink:
		return clean(h.Linkname), true
	case tar.TypeSymlink:
		if path.IsAbs(h.Linkname) {
			return clean(h.Linkname), true
		}
		return clean(path.Join(path.Dir("/"+clean(h.Name)), h.Linkname)), true
	}
	return "", false
}

// Linked lists the members as [Index] does, and behind them the links that lead
// to one of them: each as a member of its own, at the same place. Links that
// lead nowhere, or in a circle, are left out. Of several members of one name
// the first counts, as elsewhere.
func Linked(r io.ReaderAt, n int64) ([]Member, error) {
	list, links, err := index(r, n)
	if err != nil {
		return nil, err
	}
	files := make(map[string]Member, len(list))
	for _, m := range list {
		if _, ok := files[m.Name]; !ok {
			files[m.Name] = m
		}
	}
	targets := make(map[string]string, len(links))
	for _, l := range links {
		targets[l.name] = l.target
	}
	for _, l := range links {
		target := l.target
		for range maxFollowed {
			if m, ok := files[target]; ok {
				list = append(list, Member{Name: l.name, Off: m.Off, Size: m.Size})
				break
			}
			if target = targets[target]; target == "" {
				break
			}
		}
	}
	return list, nil
}
