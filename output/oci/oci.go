// Package oci writes the root filesystem of an appliance as a container image:
// NAME.oci.tar, an archive of an OCI image layout that `docker load`, podman
// and skopeo take as it is.
//
// The image holds the very layers that the disk's root was made of, without
// kernel and boot loader; its entry point is the app. It is called NAME:VERSION
// unless the options name it otherwise.
package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/distribution/reference"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the OCI format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Name is what the image is called, such as "registry.example.org/shop";
	// the appliance's name when empty.
	Name string `json:"name"`
	// Tag is the appliance's version when empty.
	Tag string `json:"tag"`
}

// Name implements output.Format.
func (Format) Name() string { return "oci" }

// Summary implements output.Format.
func (Format) Summary() string { return "container image, for docker load, podman and registries" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	var o Options
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	// What is given is checked now, with something harmless in place of what
	// only the appliance knows.
	if _, err := o.reference("name", "tag"); err != nil {
		return nil, err
	}
	return writer{f, o}, nil
}

// notInTags matches what a version may hold and a tag may not, such as the
// plus sign of a build number.
var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// reference returns the full reference of the image.
func (o Options) reference(name, version string) (string, error) {
	tag := o.Tag
	if o.Name != "" {
		name = o.Name
	}
	if tag == "" {
		tag = notInTags.ReplaceAllString(version, "-")
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err == nil && !reference.IsNameOnly(named) {
		err = errors.New("it holds a tag or a digest")
	}
	if err != nil {
		return "", fault.New(fault.Recipe, fmt.Errorf("options of output oci: name: %q: %w", name, err),
			"a name is like shop or registry.example.org/team/shop, in lower case")
	}
	tagged, err := reference.WithTag(named, tag)
	if err != nil {
		return "", fault.New(fault.Recipe, fmt.Errorf("options of output oci: tag: %q: %w", tag, err),
			"a tag has up to 128 letters, digits, and . _ - behind the first")
	}
	return tagged.String(), nil
}

type writer struct {
	format  Format
	options Options
}

// Begin implements output.Writer. The image is exported while other formats
// take the disk.
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, _ int64) (output.Sink, error) {
	if a.Tree == nil {
		return nil, errors.New("the appliance has no root filesystem in layers")
	}
	ref, err := w.options.reference(a.Name, a.Version)
	if err != nil {
		return nil, err
	}
	p, err := dir.Create(a.Name + ".oci.tar")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &sink{format: w.format.Name(), file: p, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = a.Tree.Export(ctx, p.Name(), ref)
	}()
	return s, nil
}

// sink waits for an export.
type sink struct {
	output.NoDisk
	format string
	file   *output.Pending
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of the export; to be read when done is closed
}

// Close implements disk.Sink.
func (s *sink) Close() error {
	<-s.done
	s.cancel()
	return s.err
}

// Commit implements output.Sink.
func (s *sink) Commit() ([]output.File, error) { return output.Commit(s.format, s.file) }

// Abort implements output.Sink.
func (s *sink) Abort() {
	s.cancel()
	<-s.done
	s.file.Abort()
}
