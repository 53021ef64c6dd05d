package stages

import (
	"context"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/files"
)

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
