package recipes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Parse reads a recipe that stands alone: a file with an include is an error,
// for only [Resolve] follows those. Variables are replaced; defaults are not
// filled in and paths stay as they are written. name is what errors call the
// file. An error is an [Errors] wrapped as [fault.Recipe].
func Parse(name string, data []byte) (*Recipe, error) {
	p := &problems{}
	root := parseYAML(newSource(name, ".", data), data, p)
	if root == nil {
		return nil, p.err(fault.Recipe)
	}
	if root.kind != mappingNode {
		p.add(root.at, "", "", "a recipe is a mapping, found %s", root.what())
		return nil, p.err(fault.Recipe)
	}
	if e := root.get("include"); e != nil {
		p.add(e.at, "include", "", "a recipe that stands alone cannot include files")
	}
	d := decodeRoot(root, p)
	if err := p.err(fault.Recipe); err != nil {
		return nil, err
	}
	return d.recipe(root), nil
}

// decodeRoot expands variables and reports all that is wrong with a tree.
func decodeRoot(root *node, p *problems) *decoder {
	expand(root, p)
	d := &decoder{problems: p, at: map[string]*node{}}
	r := d.recipe(root)
	(&checker{decoder: d, root: root}).recipe(r)
	return d
}

// recipe decodes a tree.
func (d *decoder) recipe(root *node) *Recipe {
	r := &Recipe{}
	d.value(root, reflect.ValueOf(r).Elem(), "", rule{})
	return r
}

// Options are the arguments of Resolve.
type Options struct {
	// Path of the recipe file.
	Path string
	// Set are overrides, each a path and a value in YAML:
	// "runtime.jvm.profile=fast-start", "vars.port=9090", "outputs[0]=qcow2".
	// Later ones win. Relative paths in them start at the working directory.
	Set []string
	// AllowMissing skips the check that local files exist.
	AllowMissing bool
	// SourceDateEpoch is the time that everything made carries, in seconds
	// since 1970. It is handed on, and is not part of the digest.
	SourceDateEpoch int64
}

// Resolved is a recipe with nothing left open: files included, variables
// replaced, overrides applied, defaults filled in. Do not change it.
type Resolved struct {
	// Recipe has absolute paths, and neither Include nor Vars.
	Recipe Recipe
	// Path of the recipe file as it was given, and the absolute path of its
	// folder.
	Path, Dir string
	// Origins tells where each value came from, by its path in the recipe,
	// like app.ports[0]. What is not in it is a default.
	Origins map[string]Origin
	// Digest identifies what the appliance's disk is made of: "sha256:" and
	// the digest of the recipe as JSON, without what does not change the disk
	// (description, vendor, tests, budgets, ovf, outputs), and with paths relative to Dir.
	Digest string
	// SourceDateEpoch is that of the options.
	SourceDateEpoch int64

	portable Recipe // Recipe with paths relative to Dir
	packaged map[string]bool
}

// Origin is where a value was written.
type Origin struct {
	// File is a recipe file, or an override such as "--set app.jar=x.jar";
	// it is empty for a default.
	File string
	// Line and Col count from 1; they are 0 for overrides and defaults.
	Line, Col int
}

func (o Origin) String() string {
	switch {
	case o.File == "":
		return "default"
	case o.Line == 0:
		return o.File
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Col)
}

// Origin tells where the value at a path of the recipe came from.
func (r *Resolved) Origin(path string) Origin { return r.Origins[path] }

// FromPackages reports whether an entry of the class path is a path
// inside the app's packages, and not one on this machine.
func (r *Resolved) FromPackages(classPath string) bool { return r.packaged[classPath] }

// Resolve reads the recipe at opts.Path and leaves nothing in it open. The
// error is an [Errors], wrapped as [fault.Recipe] when the recipe is wrong
// and as [fault.Input] when a local file that it names is missing.
func Resolve(opts Options) (*Resolved, error) {
	abs, err := filepath.Abs(opts.Path)
	if err != nil {
		return nil, fmt.Errorf("finding the recipe: %w", err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	p := &problems{}
	root, err := (&loader{problems: p}).load(abs, opts.Path)
	if err != nil {
		return nil, unreadable(opts.Path, err)
	}
	if root == nil {
		return nil, p.err(fault.Recipe)
	}
	for _, flag := range opts.Set {
		root = override(root, flag, cwd, p)
	}
	d := decodeRoot(root, p)
	if err := p.err(fault.Recipe); err != nil {
		return nil, err
	}
	r := &Resolved{Path: opts.Path, Dir: filepath.Dir(abs), SourceDateEpoch: opts.SourceDateEpoch}
	if err := r.finish(d, root); err != nil {
		return nil, err
	}
	if !opts.AllowMissing {
		d.inputs(&r.Recipe, r.packaged)
	}
	if err := p.err(fault.Input); err != nil {
		return nil, err
	}
	return r, nil
}

// unreadable says what to do about a recipe that cannot be read.
func unreadable(path string, err error) error {
	hint := "name a YAML file that you may read"
	if errors.Is(err, fs.ErrNotExist) {
		hint = "`imgbuild init` writes a recipe to start from"
	}
	return fault.New(fault.Input, fmt.Errorf("reading recipe %s: %w", path, reason(err)), hint)
}

// Portable returns the recipe with its paths relative to Dir: it is the same in
// every checkout. The caller must not change what it refers to.
func (r *Resolved) Portable() Recipe { return r.portable }

// finish fills in the two forms of the recipe, the origins and the digest.
func (r *Resolved) finish(d *decoder, root *node) error {
	given := func(path string) bool { return d.at[path] != nil }
	for _, form := range []*Recipe{&r.portable, &r.Recipe} {
		*form = *d.recipe(root)
		form.Include, form.Vars = nil, nil
		form.fill(given)
	}
	r.packaged = map[string]bool{}
	if len(r.Recipe.App.Packages) > 0 {
		for _, p := range r.Recipe.App.ClassPath {
			r.packaged[p] = filepath.IsAbs(p)
		}
	}
	d.absolute(&r.Recipe)
	d.relative(&r.portable, r.Dir)
	r.Origins = make(map[string]Origin, len(d.at))
	for path, n := range d.at {
		if path != "" && path != "vars" && !strings.HasPrefix(path, "vars.") {
			r.Origins[path] = Origin{File: n.at.file.name, Line: n.at.line, Col: n.at.col}
		}
	}
	digest, err := digestOf(r.portable)
	r.Digest = digest
	return err
}

// digestOf hashes what the disk is a function of.
func digestOf(r Recipe) (string, error) {
	r.Description, r.Vendor, r.Test, r.Outputs = "", "", nil, nil
	r.Budgets, r.OVF = Budgets{}, OVF{}
	data, err := canonical(r)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// canonical is the one JSON form of a recipe: keys in the order of the types,
// maps sorted, no spaces, no HTML escapes.
func canonical(r Recipe) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("writing recipe as JSON: %w", err)
	}
	return b.Bytes(), nil
}
