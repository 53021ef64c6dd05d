package store

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/flock"
)

// Entry is something in the store, as `imgbuild cache ls` shows it.
type Entry struct {
	Kind  string        `json:"kind"`            // "result", "tree" or "folder"
	Stage string        `json:"stage,omitempty"` // the stage that made it; of a folder its name
	Title string        `json:"title"`
	Key   digest.Digest `json:"key,omitempty"`
	Size  int64         `json:"size"` // bytes of disk space, some shared with others
	Used  time.Time     `json:"used"` // last
}

// List returns what is in the store, most recently used first. A result that
// is recorded under several keys is listed once.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	inv, err := s.readOnly(ctx)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	seen := make(map[digest.Digest]bool)
	for i := len(inv.items) - 1; i >= 0; i-- {
		it := inv.items[i]
		switch {
		case it.kind == kindTree:
			entries = append(entries, treeEntry(it))
		case it.kind == kindFolder:
			entries = append(entries, Entry{Kind: kindFolder, Stage: filepath.Base(it.path), Title: "kept between builds", Size: it.bytes, Used: it.used})
		case it.rec != nil && (it.rec.Meta.Content == "" || !seen[it.rec.Meta.Content]):
			seen[it.rec.Meta.Content] = true
			e := Entry{
				Kind: kindResult, Stage: it.rec.Meta.Stage, Title: it.rec.Meta.Title,
				Key: it.rec.Key, Used: it.used,
			}
			for _, d := range it.blobs {
				if b := inv.blobs[d]; b != nil {
					e.Size += b.bytes
				}
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func treeEntry(it *item) Entry {
	e := Entry{Kind: kindTree, Title: "unpacked layers", Size: it.bytes, Used: it.used,
		Key: digest.NewDigestFromEncoded(digest.Canonical, filepath.Base(it.path))}
	var layers []layer
	b, err := readFile(filepath.Join(it.path, layersName))
	if err == nil && json.Unmarshal(b, &layers) == nil && len(layers) == 1 && layers[0].Digest.Validate() == nil {
		e.Title = "unpacked layer " + layers[0].Digest.Encoded()[:12]
	}
	return e
}

// Usage is the disk space that the store takes, in bytes.
type Usage struct {
	Artifacts int64 `json:"artifacts"`
	Trees     int64 `json:"trees"`
	Folders   int64 `json:"folders"` // of others
}

// Total is the sum.
func (u Usage) Total() int64 { return u.Artifacts + u.Trees + u.Folders }

// Usage returns the disk space that the store takes.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	inv, err := s.readOnly(ctx)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	for _, it := range inv.items {
		if it.kind == kindFolder {
			u.Folders += it.bytes
		} else {
			u.Trees += it.bytes
		}
	}
	u.Artifacts = inv.bytes - u.Trees - u.Folders
	return u, nil
}

// readOnly reads the store while nothing is removed from it.
func (s *Store) readOnly(ctx context.Context) (*inventory, error) {
	release, err := s.guard(flock.Shared)
	if err != nil {
		return nil, err
	}
	defer release()
	inv, err := s.inventory(ctx)
	return inv, s.Diagnose(err)
}
