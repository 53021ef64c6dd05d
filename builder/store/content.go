package store

import (
	"context"

	"github.com/containerd/containerd/v2/core/content"
)

// Content returns the content store for containerd's own functions: resolvers,
// importers, exporters. What is written through it and not committed goes with
// the session; references are therefore those of this process only.
func (s *Store) Content() content.Store {
	return sessionContent{s.content, s.session.id + "-"}
}

// sessionContent puts the session's name before every reference, so that two
// processes do not write to one ingest and leftovers have an owner.
type sessionContent struct {
	content.Store
	prefix string
}

func (c sessionContent) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	return c.Store.Writer(ctx, append(opts, func(o *content.WriterOpts) error {
		if o.Ref != "" {
			o.Ref = c.prefix + o.Ref
		}
		return nil
	})...)
}

func (c sessionContent) Status(ctx context.Context, ref string) (content.Status, error) {
	return c.Store.Status(ctx, c.prefix+ref)
}

func (c sessionContent) Abort(ctx context.Context, ref string) error {
	return c.Store.Abort(ctx, c.prefix+ref)
}
