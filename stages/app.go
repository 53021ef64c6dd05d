package stages

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/files"
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

// collectApp is the runner.
func (o Options) collectApp(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[appParams](w)
	if err != nil {
		return nil, err
	}
	c := &collector{Options: o, ctx: ctx, w: w, p: p, seen: map[string]bool{}}
	steps := []func() error{c.takePackages, c.takeClassPath, c.takeBinary, c.takeFiles, c.findMain}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	layer, err := put(ctx, w.Store, mediaTypeLayer, func(out io.Writer) error {
		return files.Layer(ctx, out, withParents(c.entries), epochTime(p.Epoch))
	})
	if err != nil {
		return nil, err
	}
	list, err := putBytes(ctx, w.Store, []byte(strings.Join(c.classPath, "\n")+"\n"), mediaTypeText)
	if err != nil {
		return nil, err
	}
	main, err := putBytes(ctx, w.Store, []byte(c.main+"\n"), mediaTypeText)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"layer": layer, "classpath": list, "main": main}, nil
}

// collector gathers the entries of the app's layer.
type collector struct {
	Options
	ctx       context.Context
	w         *builder.Work
	p         appParams
	entries   []files.Entry
	seen      map[string]bool   // guest paths
	classPath []string          // guest paths, in order
	jars      map[string]string // guest path to host path
	main      string
}

// packageTree unpacks one request for packages.
func (c *collector) packageTree(index int) (string, error) {
	return c.w.Store.Tree(c.ctx, layers(c.w, fmt.Sprintf("packages/%02d", index))...)
}

func (c *collector) add(entries ...files.Entry) {
	for _, e := range entries {
		if !c.seen[e.Path] {
			c.seen[e.Path] = true
			c.entries = append(c.entries, e)
		}
	}
}

// takePackages takes the files that the recipe names from its packages.
func (c *collector) takePackages() error {
	for _, pf := range c.p.Packages {
		tree, err := c.packageTree(pf.Index)
		if err != nil {
			return err
		}
		for _, pattern := range pf.Paths {
			matches, err := files.Match(tree, pattern)
			if err != nil {
				return err
			}
			if len(matches) == 0 {
				return fault.New(fault.Input, fmt.Errorf("app.packages[%d]: no file of the packages matches %s", pf.Index, pattern))
			}
			c.add(matches...)
		}
	}
	return nil
}

// takeClassPath takes jars and folders, and checks that jars are jars.
func (c *collector) takeClassPath() error {
	c.jars = map[string]string{}
	for _, entry := range c.p.ClassPath {
		if entry.Local != nil {
			if err := c.takeLocalJar(*entry.Local); err != nil {
				return err
			}
			continue
		}
		if err := c.takePackageJars(entry.Pattern); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) takeLocalJar(f localFile) error {
	host, err := c.verified(f)
	if err != nil {
		return err
	}
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	guest := path.Join(guestApp, path.Base(f.Path))
	if info.IsDir() {
		// The JVM archives classes from jars alone, so a folder becomes one.
		guest += ".jar"
		packed := filepath.Join(c.w.Dir, path.Base(guest))
		if err := packJar(host, packed); err != nil {
			return fmt.Errorf("packing %s: %w", f.Path, err)
		}
		host = packed
	} else if err := checkJar(f.Path, host); err != nil {
		return err
	}
	if c.seen[guest] {
		return fault.New(fault.Recipe, fmt.Errorf("app.classPath names two files called %s", path.Base(guest)), "rename one of them")
	}
	c.add(files.Entry{Path: guest, Mode: 0o644, Source: host})
	c.jars[guest] = host
	c.classPath = append(c.classPath, guest)
	return nil
}

func checkJar(name, host string) error {
	f, size, err := openSized(host)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = readJar(name, f, size)
	return err
}

// takePackageJars takes the jars that a pattern matches in any of the packages.
func (c *collector) takePackageJars(pattern string) error {
	found := false
	for i := range c.Recipe.Recipe.App.Packages {
		tree, err := c.packageTree(i)
		if err != nil {
			return err
		}
		matches, err := files.Match(tree, pattern)
		if err != nil {
			return err
		}
		for _, m := range matches {
			ok, err := path.Match(pattern, m.Path)
			if err != nil {
				return err
			}
			if !ok {
				continue // the target of a link that matched
			}
			found = true
			if c.jars[m.Path] == "" {
				c.jars[m.Path] = filepath.Join(tree, m.Path)
				c.classPath = append(c.classPath, m.Path)
			}
		}
		c.add(matches...)
		if found {
			return nil
		}
	}
	return fault.New(fault.Input, fmt.Errorf("app.classPath: no file of the packages matches %s", pattern),
		"a path that begins with / is looked for inside app.packages")
}

// takeBinary takes the program of a recipe without a runtime.
func (c *collector) takeBinary() error {
	if c.p.Binary == nil {
		return nil
	}
	host, err := c.verified(*c.p.Binary)
	if err != nil {
		return err
	}
	if err := checkStatic(c.p.Binary.Path, host); err != nil {
		return err
	}
	c.add(files.Entry{Path: binaryPath(c.p.Binary.Path), Mode: 0o755, Source: host})
	return nil
}

// binaryPath is where a recipe's own program stands in the guest.
func binaryPath(local string) string { return path.Join(guestApp, path.Base(filepath.ToSlash(local))) }

// takeFiles takes the recipe's own files; they replace what packages brought.
func (c *collector) takeFiles() error {
	for _, f := range c.p.Files {
		entries, err := c.fileEntries(f)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if c.seen[e.Path] {
				c.entries = without(c.entries, e.Path)
			}
			c.seen[e.Path] = true
			c.entries = append(c.entries, e)
		}
	}
	return nil
}

func (c *collector) fileEntries(f fileParams) ([]files.Entry, error) {
	e := files.Entry{Path: f.Path, Mode: f.Mode, UID: f.UID, GID: f.GID, Link: f.Link, Dir: f.Dir}
	switch {
	case f.Source != nil:
		host, err := c.verified(*f.Source)
		if err != nil {
			return nil, err
		}
		return files.Folder(host, f.Path, files.FolderOptions{Mode: f.Mode, UID: f.UID, GID: f.GID})
	case f.Content != nil:
		e.Content = files.Bytes([]byte(*f.Content))
	}
	if e.Mode == 0 {
		e.Mode = 0o644
		if f.Dir {
			e.Mode = 0o755
		}
	}
	return []files.Entry{e}, nil
}

func without(entries []files.Entry, path string) []files.Entry {
	var kept []files.Entry
	for _, e := range entries {
		if e.Path != path {
			kept = append(kept, e)
		}
	}
	return kept
}
