package stages

import (
	"context"
	"fmt"
	"sync"

	"github.com/imgbuild/imgbuild/stages/elfdeps"
	"github.com/imgbuild/imgbuild/stages/files"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

// boxes finds the sandbox once for all stages.
type boxes struct {
	mu  sync.Mutex
	box sandbox.Sandbox
}

func (b *boxes) find(ctx context.Context) (sandbox.Sandbox, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.box == nil {
		box, err := sandbox.Find(ctx)
		if err != nil {
			return nil, err
		}
		b.box = box
	}
	return b.box, nil
}

// sandboxed runs a command in the sandbox and waits for its end.
func (o Options) sandboxed(ctx context.Context, c sandbox.Command) error {
	box, err := o.boxes.find(ctx)
	if err != nil {
		return err
	}
	return sandbox.Run(ctx, box, c)
}

// libraryEntries are the entries for shared libraries: the file, under the
// name it has, and a link for the name it is asked by. In the guest they stand
// where the loader looks without a cache.
func libraryEntries(root string, libraries []elfdeps.Library) ([]files.Entry, error) {
	var entries []files.Entry
	seen := map[string]bool{}
	for _, l := range libraries {
		for _, p := range []string{l.Real, l.Path} {
			if seen[p] {
				continue
			}
			seen[p] = true
			if p == l.Real {
				entries = append(entries, files.Entry{Path: p, Mode: 0o755, Source: root + p})
			} else {
				entries = append(entries, files.Entry{Path: p, Link: l.Real})
			}
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("the runtime needs no shared library, which cannot be")
	}
	return withParents(entries), nil
}
