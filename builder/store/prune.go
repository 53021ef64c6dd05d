package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/flock"
)

// PruneOptions say what Prune removes, beside artifacts that nothing refers to.
type PruneOptions struct {
	// MaxAge removes what was not used for longer; 0 means any age may stay.
	MaxAge time.Duration
	// MaxBytes removes what was used longest ago until all together is not
	// more; 0 means any size may stay.
	MaxBytes int64
	// All removes everything.
	All bool
}

// Freed is what Prune removed.
type Freed struct {
	Results   int   `json:"results"`
	Trees     int   `json:"trees"`
	Artifacts int   `json:"artifacts"`
	Folders   int   `json:"folders"` // of others
	Bytes     int64 `json:"bytes"`   // of disk space
}

// Prune removes results, trees and folders of others by the options, then the artifacts that no
// result refers to. Whatever was used since the oldest running session began,
// this one included, stays.
func (s *Store) Prune(ctx context.Context, opts PruneOptions) (Freed, error) {
	trash, remove, err := s.Scratch("trash")
	if err != nil {
		return Freed{}, err
	}
	defer remove()
	freed, err := s.prune(ctx, opts, trash)
	// Deleting takes time, during which the store need not stand still.
	if err := errors.Join(err, remove()); err != nil {
		return freed, s.Diagnose(fmt.Errorf("pruning the store: %w", err))
	}
	return freed, nil
}

func (s *Store) prune(ctx context.Context, opts PruneOptions, trash string) (Freed, error) {
	release, err := s.guard(flock.Exclusive)
	if err != nil {
		return Freed{}, err
	}
	defer release()
	if err := s.sweep(); err != nil {
		return Freed{}, err
	}
	inUse, err := s.inUseSince()
	if err != nil {
		return Freed{}, err
	}
	inv, err := s.inventory(ctx)
	if err != nil {
		return Freed{}, err
	}
	p := &pruning{Store: s, trash: trash, inUse: inUse, inv: inv}
	oldest := time.Now().Add(-opts.MaxAge)
	for _, it := range inv.items {
		over := opts.MaxBytes > 0 && inv.bytes-p.freed.Bytes > opts.MaxBytes
		old := opts.MaxAge > 0 && it.used.Before(oldest)
		if !opts.All && !over && !old {
			continue
		}
		if err := p.drop(it); err != nil {
			return p.freed, err
		}
	}
	return p.freed, p.dropUnreferenced()
}

// inUseSince returns when the oldest running session began.
func (s *Store) inUseSince() (time.Time, error) {
	locks, err := filepath.Glob(s.path("sessions", "*", lockName))
	if err != nil {
		return time.Time{}, err
	}
	oldest := s.session.started
	for _, lock := range locks {
		fi, err := os.Stat(lock)
		if err != nil {
			return time.Time{}, err
		}
		if fi.ModTime().Before(oldest) {
			oldest = fi.ModTime()
		}
	}
	return oldest, nil
}

// pruning is one run of Prune. What it removes is moved to the trash.
type pruning struct {
	*Store
	trash string
	inUse time.Time
	inv   *inventory
	freed Freed
}

// drop removes an item, and the artifacts that only it refers to.
func (p *pruning) drop(it *item) error {
	if !it.used.Before(p.inUse) {
		return nil
	}
	switch it.kind {
	case kindFolder:
		return p.dropFolder(it)
	case kindTree:
		bytes, err := p.inv.unlink(it.path)
		if err != nil {
			return err
		}
		p.freed.Trees++
		p.freed.Bytes += bytes
	case kindResult:
		p.freed.Results++
	}
	if err := p.discard(it.path); err != nil {
		return err
	}
	for _, d := range it.blobs {
		b := p.inv.blobs[d]
		if b == nil {
			continue
		}
		if b.refs--; b.refs == 0 {
			if err := p.dropBlob(d, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// settling is how long a folder of others stays after its lock was given back:
// what was found in it, such as the paths of a kernel, may just be opened.
const settling = time.Minute

// dropFolder removes a folder of others, unless it is locked. Whoever waits for
// the lock finds no folder then, and makes it anew.
func (p *pruning) dropFolder(it *item) error {
	if time.Since(it.used) < settling {
		return nil
	}
	lock, err := flock.Try(filepath.Join(it.path, lockName), flock.Exclusive)
	if errors.Is(err, flock.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	p.freed.Folders++
	p.freed.Bytes += it.bytes
	return p.discard(it.path)
}

// dropUnreferenced removes the artifacts that no result refers to.
func (p *pruning) dropUnreferenced() error {
	for d, b := range p.inv.blobs {
		if b.refs > 0 {
			continue
		}
		if err := p.dropBlob(d, b); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruning) dropBlob(d digest.Digest, b *blobInfo) error {
	if b.gone || !b.used.Before(p.inUse) {
		return nil
	}
	b.gone = true
	path, err := p.blobPath(d)
	if err != nil {
		return err
	}
	p.freed.Artifacts++
	p.freed.Bytes += b.bytes
	return p.discard(path)
}

// discard takes a file or folder out of sight.
func (p *pruning) discard(path string) error {
	err := os.Rename(path, filepath.Join(p.trash, p.session.next()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// byUse orders items: what was used longest ago comes first.
func byUse(items []*item) {
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
}
