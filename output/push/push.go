// Package push brings what imgbuild makes into container registries: images
// as they are, any other file as an OCI artifact, and reports that refer to
// either.
//
// # Images
//
// An image is an OCI layout, in a folder or in an archive, or what docker save
// writes; all platforms of an index are pushed. It is read where it lies, and
// its documents keep every byte, unless annotations are added.
//
// # Artifacts
//
// Files are the layers of a manifest with an empty configuration and an
// artifactType (OCI Image Format Specification 1.1, "Guidelines for Artifact
// Usage"). Their names are annotations, by which oras and other clients put
// them back.
//
// # Attachments
//
// An attachment is an artifact of one file whose subject is what is pushed (OCI
// Distribution Specification 1.1, "Pushing Manifests with Subject"). Registries
// that know of subjects list it by themselves; on others the list is kept under
// a tag ("Referrers Tag Schema").
//
// # Order
//
// Content goes first, then manifests, by their digests, then the attachments;
// the tag is set at the very end. A push that fails leaves every tag as it was;
// what came through has no name, and waits for the registry's garbage
// collection or for the next try, which does not send it again.
package push

import (
	"context"
	"errors"
	"fmt"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/registry"
)

// Options say what is pushed, and where to.
type Options struct {
	// Paths are one image, or the files of one artifact.
	Paths []string
	// Reference is NAME[:TAG], with or without @DIGEST; the tag is latest by
	// default.
	Reference string
	// Type is the artifactType of files; empty to tell it from the first.
	Type string
	// Annotations are added to the manifest, or to the index of several
	// platforms.
	Annotations map[string]string
	Attach      []Attachment
	Registry    registry.Options
	// Progress, when not nil, is told how many bytes are done.
	Progress func(done, total int64)
}

// Result is what was pushed.
type Result struct {
	// Reference is the name with its tag, and the digest.
	Reference    string     `json:"reference"`
	Digest       string     `json:"digest"`
	MediaType    string     `json:"mediaType"`
	ArtifactType string     `json:"artifactType,omitempty"`
	Size         int64      `json:"size"` // bytes, of everything that belongs to it
	Attachments  []Attached `json:"attachments,omitempty"`
}

// Attached is an attachment that was pushed.
type Attached struct {
	File         string `json:"file"`
	Reference    string `json:"reference"`
	Digest       string `json:"digest"`
	ArtifactType string `json:"artifactType"`
	// Tag is where the list of attachments is kept; empty when the registry
	// keeps it itself.
	Tag string `json:"tag,omitempty"`
}

// writing is what a registry is asked for.
var writing = registry.Use{
	Kind:   fault.Publish,
	Denied: "push there",
	Plain:  "give --plain-http if you trust the network on the way",
	Trust:  "name its certificate authority with --ca",
}

// Run pushes. What cannot be read is an error of kind fault.Input, what the
// registry is to blame for one of kind fault.Publish.
func Run(ctx context.Context, o Options) (*Result, error) {
	target, err := parse(o.Reference)
	if err != nil {
		return nil, err
	}
	ctx = registry.Quiet(ctx)
	b, attached, err := o.collect(ctx)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if d, ok := target.(reference.Digested); ok && d.Digest() != b.root.Digest {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s has the digest %s, not %s", o.Paths[0], b.root.Digest, d.Digest()),
			"leave the digest out of the reference")
	}
	p, err := o.pusher(target)
	if err != nil {
		return nil, err
	}
	result, err := p.run(ctx, b, attached)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("pushing to %s: %w", target, writing.Explain(err))
	}
	return result, nil
}

// parse reads a reference. Without a tag or a digest it means latest.
func parse(ref string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("the reference %q: %w", ref, err),
			"a reference is like registry.example.org/team/shop:1.0")
	}
	return reference.TagNameOnly(named), nil
}

// collect reads what is to be pushed, and makes sure that it is whole.
func (o Options) collect(ctx context.Context) (*bundle, []*bundle, error) {
	b, err := o.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	var attached []*bundle
	for _, a := range o.Attach {
		extra, err := a.open(ctx, b.root)
		if err != nil {
			return nil, nil, errors.Join(err, b.Close())
		}
		attached = append(attached, extra)
	}
	return b, attached, nil
}

// open opens the image or makes the artifact.
func (o Options) open(ctx context.Context) (*bundle, error) {
	b, err := openImage(ctx, o.Paths, o.Type)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return makeArtifact(ctx, o.Paths, o.Type, o.Annotations, nil)
	}
	err = fault.New(fault.Input, b.walk(ctx), "it is damaged or not complete: make it again")
	if err == nil {
		err = b.annotate(ctx, o.Annotations)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", o.Paths[0], err), b.Close())
	}
	return b, nil
}

// subject is the part of a descriptor that refers to it.
func subject(d ocispec.Descriptor) *ocispec.Descriptor {
	return &ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}
