package stages

import (
	"fmt"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/recipes"
)

const kindApp = "app"

// appParams describe the app's own files. Local files are named relative to
// the recipe, and pinned.
type appParams struct {
	ClassPath []classPathEntry `json:"classPath,omitempty"`
	Main      string           `json:"main,omitempty"`
	Binary    *localFile       `json:"binary,omitempty"`
	Packages  []packageFiles   `json:"packages,omitempty"`
	Files     []fileParams     `json:"files,omitempty"`
	Epoch     int64            `json:"epoch"`
}

// classPathEntry is a local file or folder, or a pattern of files in packages.
type classPathEntry struct {
	Local   *localFile `json:"local,omitempty"`
	Pattern string     `json:"pattern,omitempty"`
}

// localFile is a pinned file or folder beside the recipe.
type localFile struct {
	Path   string `json:"path"` // relative to the recipe
	SHA256 string `json:"sha256"`
}

// packageFiles are the files taken from one request for packages, whose layers
// have the role packages/<Index>.
type packageFiles struct {
	Index int      `json:"index"`
	Paths []string `json:"paths"`
}

// fileParams is a file of the recipe's own.
type fileParams struct {
	Path    string     `json:"path"`
	Content *string    `json:"content,omitempty"`
	Source  *localFile `json:"source,omitempty"`
	Link    string     `json:"link,omitempty"`
	Dir     bool       `json:"dir,omitempty"`
	Mode    int64      `json:"mode,omitempty"`
	UID     int        `json:"uid,omitempty"`
	GID     int        `json:"gid,omitempty"`
}

// app adds the stage that makes the layer of the app's own files.
func (s *set) app() string {
	r := s.Recipe.Recipe
	p := appParams{Main: r.App.Main, Epoch: s.Epoch.Unix()}
	st := builder.Stage{Name: "app", Title: "collect the app", Kind: kindApp, Version: 1}
	for i, pkg := range r.App.Packages {
		st.Inputs = append(st.Inputs, s.packages(packageGroup(pkg), fmt.Sprintf("packages/%02d", i))...)
		if len(pkg.Paths) > 0 {
			p.Packages = append(p.Packages, packageFiles{Index: i, Paths: pkg.Paths})
		}
	}
	seen := map[string]bool{}
	for _, entry := range classPathOfRecipe(&r) {
		if s.Recipe.FromPackages(entry) {
			p.ClassPath = append(p.ClassPath, classPathEntry{Pattern: entry})
			continue
		}
		for _, match := range localClassPath(entry, seen) {
			p.ClassPath = append(p.ClassPath, classPathEntry{Local: s.local(match)})
		}
	}
	if r.App.Binary != "" {
		p.Binary = s.local(r.App.Binary)
	}
	for _, f := range r.Files {
		p.Files = append(p.Files, s.file(f))
	}
	return s.add(st, p)
}

func (s *set) file(f recipes.File) fileParams {
	p := fileParams{Path: f.Path, Link: f.Link, Dir: f.Dir, UID: f.UID, GID: f.GID, Mode: octal(f.Mode)}
	switch {
	case f.Source != "":
		p.Source = s.local(f.Source)
	case f.Link == "" && !f.Dir:
		p.Content = &f.Content
	}
	return p
}

// octal reads a mode that the recipe has checked; an empty one is 0.
func octal(mode string) (n int64) {
	for _, c := range mode {
		n = n<<3 | int64(c-'0')
	}
	return n
}

// local names a file relative to the recipe, with its digest in the lock.
func (s *set) local(abs string) *localFile {
	rel := LocalName(s.Recipe, abs)
	return &localFile{Path: rel, SHA256: s.Lock.Files[rel].SHA256}
}

// LocalName is the name of a local file in the lock: its path relative to the
// recipe.
func LocalName(r *recipes.Resolved, abs string) string {
	rel, err := filepath.Rel(r.Dir, abs)
	if err != nil {
		return abs
	}
	return filepath.ToSlash(rel)
}
