package push

import (
	"context"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/output/registry"
)

// parallel is how many blobs are sent at once.
const parallel = 3

// pusher brings bundles into one repository.
type pusher struct {
	target   reference.Named
	client   *registry.Client
	subjects *subjects
	tally    *tally
	attach   []Attachment
}

func (o Options) pusher(target reference.Named) (*pusher, error) {
	p := &pusher{target: target, subjects: &subjects{}, tally: &tally{tell: o.Progress}, attach: o.Attach}
	o.Registry.Wrap = p.subjects.wrap
	var err error
	p.client, err = registry.New(o.Registry)
	return p, err
}

// run pushes the bundle, then what is attached to it, and tags it last.
func (p *pusher) run(ctx context.Context, b *bundle, attached []*bundle) (*Result, error) {
	p.tally.total = b.size()
	for _, a := range attached {
		p.tally.total += a.size()
	}
	result := &Result{
		Digest: b.root.Digest.String(), MediaType: b.root.MediaType, ArtifactType: b.root.ArtifactType, Size: b.size(),
	}
	if err := p.send(ctx, b); err != nil {
		return nil, err
	}
	for i, a := range attached {
		done, err := p.refer(ctx, a, b.root.Digest)
		if err != nil {
			return nil, err
		}
		done.File = p.attach[i].Path
		result.Attachments = append(result.Attachments, *done)
	}
	if tagged, ok := p.target.(reference.Tagged); ok {
		if err := p.tag(ctx, b, b.root, tagged.Tag()); err != nil {
			return nil, err
		}
	}
	result.Reference = p.target.String()
	if _, ok := p.target.(reference.Digested); !ok {
		result.Reference += "@" + result.Digest
	}
	return result, nil
}

// send pushes a bundle by digests: blobs, then documents in their order.
func (p *pusher) send(ctx context.Context, b *bundle) error {
	to, err := p.client.Resolver().Pusher(ctx, p.byDigest(b.root.Digest))
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, d := range b.blobs {
		g.Go(func() error { return p.one(gctx, to, b, d) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, d := range b.documents {
		if err := p.one(ctx, to, b, d); err != nil {
			return err
		}
	}
	return nil
}

// one pushes a blob or a document that the registry does not have.
func (p *pusher) one(ctx context.Context, to remotes.Pusher, from content.Provider, d ocispec.Descriptor) error {
	count := p.tally.begin(d.Size)
	if _, err := remotes.PushHandler(to, counted{from, count})(ctx, d); err != nil {
		return err
	}
	count.end()
	return nil
}

// tag gives a document that the registry has a name.
func (p *pusher) tag(ctx context.Context, from content.Provider, d ocispec.Descriptor, tag string) error {
	// With the digest behind it, the tag is for this document alone.
	to, err := p.client.Resolver().Pusher(ctx, p.target.Name()+":"+tag+"@"+d.Digest.String())
	if err != nil {
		return err
	}
	_, err = remotes.PushHandler(to, from)(ctx, d)
	return err
}

// byDigest names a document of the repository.
func (p *pusher) byDigest(d digest.Digest) string { return p.target.Name() + "@" + d.String() }

// tally counts what is done.
type tally struct {
	mu    sync.Mutex
	done  int64
	total int64
	tell  func(done, total int64)
}

// count is the share of one blob.
type count struct {
	*tally
	size, done int64
}

func (t *tally) begin(size int64) *count { return &count{tally: t, size: size} }

// add counts bytes. What is sent a second time is not counted again.
func (c *count) add(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, c.size-c.done)
	c.done += n
	c.tally.done += n
	if c.tell != nil {
		c.tell(c.tally.done, c.total)
	}
}

// end counts what was there already.
func (c *count) end() { c.add(c.size) }

// counted counts what is read.
type counted struct {
	content.Provider
	*count
}

// ReaderAt implements content.Provider.
func (c counted) ReaderAt(ctx context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	r, err := c.Provider.ReaderAt(ctx, d)
	if err != nil {
		return nil, err
	}
	return countedReader{r, c.count}, nil
}

type countedReader struct {
	content.ReaderAt
	*count
}

// ReadAt implements io.ReaderAt.
func (r countedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	r.add(int64(n))
	return n, err
}
