package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
)

// make returns the outputs of a stage: recorded ones if it can, else by
// running it.
func (r *run) make(ctx context.Context, s builder.Stage) (builder.Outputs, error) {
	key := r.plan.Key(s.Name)
	r.emit(s, builder.Event{Kind: builder.Planned, Key: key})
	known, ok, err := r.lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	now := r.describe(s)
	if ok {
		r.emit(s, builder.Event{Kind: builder.Cached, Key: key, Reason: "nothing changed", Outputs: known})
		return known, r.remember(s, now)
	}
	reason := r.reason(s, now, known)

	inputs, err := r.inputs(ctx, s)
	if err != nil {
		return nil, err
	}
	now.Inputs = inputs
	content, err := builder.ContentKey(s, inputs)
	if err != nil {
		return nil, err
	}
	reused := func(outputs builder.Outputs, why string) (builder.Outputs, error) {
		r.emit(s, builder.Event{Kind: builder.Cached, Key: key, Reason: why, Outputs: outputs})
		return outputs, r.record(ctx, s, content, outputs, now)
	}
	if known, ok, err = r.lookup(ctx, content); err != nil {
		return nil, err
	} else if ok {
		return reused(known, "what it is made from is the same as before")
	}

	waited := false
	unlock, err := r.store.Lock(ctx, string(content), func() {
		waited = true
		r.emit(s, builder.Event{Kind: builder.Waiting, Key: key, Message: "another build is making this"})
	})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if known, ok, err = r.lookup(ctx, content); err != nil {
		return nil, err
	} else if ok && waited {
		return reused(known, "another build has made it")
	} else if ok {
		return reused(known, "what it is made from is the same as before")
	}
	return r.execute(ctx, s, content, now, r.changedInputs(s, now, reason))
}

// lookup asks the store, unless results are not to be reused.
func (r *run) lookup(ctx context.Context, key digest.Digest) (builder.Outputs, bool, error) {
	if r.opts.Fresh || r.opts.Verify {
		return nil, false, nil
	}
	return r.store.Lookup(ctx, key)
}

// record keeps the outputs under both keys and remembers what the stage was
// made of.
func (r *run) record(ctx context.Context, s builder.Stage, content digest.Digest, outputs builder.Outputs, now identity) error {
	meta := store.Meta{Stage: s.Name, Title: s.Title, Kind: s.Kind, Content: content}
	for _, key := range []digest.Digest{content, r.plan.Key(s.Name)} {
		if err := r.store.Record(ctx, key, outputs, meta); err != nil {
			return err
		}
	}
	return r.remember(s, now)
}

// inputs makes the inputs of a stage and returns them by role.
func (r *run) inputs(ctx context.Context, s builder.Stage) (map[string]ocispec.Descriptor, error) {
	for _, in := range s.Inputs {
		r.demand(ctx, in.Stage)
	}
	inputs := make(map[string]ocispec.Descriptor, len(s.Inputs))
	for _, in := range s.Inputs {
		n := r.nodes[in.Stage]
		select {
		case <-n.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		desc, ok := n.outputs[in.Output]
		if !ok {
			return nil, fmt.Errorf("input %s: stage %s did not make an output %q", in.Role, in.Stage, in.Output)
		}
		inputs[in.Role] = desc
	}
	return inputs, nil
}

// execute runs a stage, once more where that is asked for, and records what it
// made.
func (r *run) execute(ctx context.Context, s builder.Stage, content digest.Digest, now identity, reason string) (builder.Outputs, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	key := r.plan.Key(s.Name)
	r.emit(s, builder.Event{Kind: builder.Started, Key: key, Reason: reason})
	start := r.opts.Now()
	outputs, err := r.attempt(ctx, s, now.Inputs)
	if err == nil && r.opts.Verify {
		err = r.verify(ctx, s, now.Inputs, content, outputs)
	}
	if err == nil {
		err = r.record(ctx, s, content, outputs, now)
	}
	if err != nil {
		return nil, err
	}
	r.emit(s, builder.Event{Kind: builder.Finished, Key: key, Reason: reason, Elapsed: r.opts.Now().Sub(start), Outputs: outputs})
	return outputs, nil
}

// attempt runs a stage once, in a scratch folder of its own.
func (r *run) attempt(ctx context.Context, s builder.Stage, inputs map[string]ocispec.Descriptor) (outputs builder.Outputs, err error) {
	dir, remove, err := r.store.Scratch(s.Name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if rmErr := remove(); rmErr != nil {
			err = errors.Join(err, fmt.Errorf("removing the scratch folder: %w", rmErr))
		}
	}()
	report := r.throttle(s)
	work := &builder.Work{
		Stage:    s,
		Inputs:   inputs,
		Dir:      dir,
		Store:    r.store,
		Progress: report.progress,
		Warn: func(format string, args ...any) {
			r.emit(s, builder.Event{Kind: builder.Warning, Message: fmt.Sprintf(format, args...)})
		},
		Log: r.opts.Log.Named(s.Name),
	}
	return r.guarded(ctx, work)
}
