package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	media "github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
)

// refer pushes an attachment of a subject and sees to it that it is listed (OCI
// Distribution Specification 1.1, "Pushing Manifests with Subject").
func (p *pusher) refer(ctx context.Context, a *bundle, to digest.Digest) (*Attached, error) {
	if err := p.send(ctx, a); err != nil {
		return nil, err
	}
	done := &Attached{Digest: a.root.Digest.String(), ArtifactType: a.root.ArtifactType, Reference: p.byDigest(a.root.Digest)}
	if p.subjects.known(a.root.Digest) {
		return done, nil
	}
	// It was there before, or the registry knows nothing of subjects.
	tag := referrersTag(to)
	old, err := p.list(ctx, tag)
	if err != nil {
		return nil, err
	}
	if !lists(old, a.root.Digest) {
		listed, err := p.listedByRegistry(ctx, to, a.root.Digest)
		if err != nil || listed {
			return done, err
		}
		if err := p.relist(ctx, tag, old, a.root); err != nil {
			return nil, err
		}
	}
	done.Tag = tag
	return done, nil
}

// notInTags matches what a digest may hold and a tag may not.
var notInTags = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// referrersTag is the tag of the list of those that refer to a digest (OCI
// Distribution Specification 1.1, "Referrers Tag Schema").
func referrersTag(d digest.Digest) string {
	algorithm, encoded := d.Algorithm().String(), d.Encoded()
	tag := algorithm[:min(len(algorithm), 32)] + "-" + encoded[:min(len(encoded), 64)]
	return notInTags.ReplaceAllString(tag, "-")
}

// list reads the list under a tag; it is empty when there is none. Something
// else under that tag is left alone.
func (p *pusher) list(ctx context.Context, tag string) (*ocispec.Index, error) {
	resolver, ref := p.client.Resolver(), p.target.Name()+":"+tag
	_, desc, err := resolver.Resolve(ctx, ref)
	if errdefs.IsNotFound(err) {
		return &ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}, nil
	}
	if err != nil {
		return nil, err
	}
	if !media.IsIndexType(desc.MediaType) || desc.Size > maxDocument {
		return nil, fault.New(fault.Publish, fmt.Errorf("the tag %s is for the list of attachments, but holds %s", tag, desc.MediaType),
			"remove that tag from the registry")
	}
	fetcher, err := resolver.Fetcher(ctx, ref)
	if err != nil {
		return nil, err
	}
	r, err := fetcher.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("reading the list of attachments: %w", err)
	}
	return &index, nil
}

func lists(index *ocispec.Index, d digest.Digest) bool {
	return slices.ContainsFunc(index.Manifests, func(m ocispec.Descriptor) bool { return m.Digest == d })
}

// listedByRegistry asks the registry itself who refers to a subject ("Listing
// Referrers").
func (p *pusher) listedByRegistry(ctx context.Context, to, d digest.Digest) (bool, error) {
	fetcher, err := p.client.Resolver().Fetcher(ctx, p.byDigest(to))
	if err != nil {
		return false, err
	}
	asked, ok := fetcher.(remotes.ReferrersFetcher)
	if !ok {
		return false, errors.New("the registry cannot be asked for attachments")
	}
	list, err := asked.FetchReferrers(ctx, to)
	if err != nil {
		return false, err
	}
	return lists(&ocispec.Index{Manifests: list}, d), nil
}

// relist adds an attachment to the list under a tag. Its annotations are none,
// so there are none to copy.
func (p *pusher) relist(ctx context.Context, tag string, old *ocispec.Index, attachment ocispec.Descriptor) error {
	index := *old
	index.Manifests = append(slices.Clone(old.Manifests), attachment)
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	b := newBundle()
	b.setRoot(text, ocispec.MediaTypeImageIndex, "")
	return p.tag(ctx, b, b.root, tag)
}

// subjects remembers which manifests a registry took note of the subject of: it
// says so in a header, which containerd does not hand on.
type subjects struct {
	mu   sync.Mutex
	seen map[string]bool
	way  http.RoundTripper
}

func (s *subjects) wrap(way http.RoundTripper) http.RoundTripper {
	s.way = way
	return s
}

// RoundTrip implements http.RoundTripper.
func (s *subjects) RoundTrip(q *http.Request) (*http.Response, error) {
	resp, err := s.way.RoundTrip(q)
	if err == nil && q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/manifests/") && resp.Header.Get("OCI-Subject") != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.seen == nil {
			s.seen = map[string]bool{}
		}
		s.seen[path.Base(q.URL.Path)] = true
	}
	return resp, err
}

// known reports whether the registry keeps the list for a manifest itself.
func (s *subjects) known(d digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[d.String()]
}
