package apt

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// maxAge is how old package lists get before they are refreshed unasked.
const maxAge = 24 * time.Hour

// Update refreshes the package lists. A source that fails is a warning as long
// as others, or lists from before, can serve; an error of kind fault.Input is
// returned when none can.
//
// The other methods refresh lists that are older than a day by themselves.
func (c *Client) Update(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	return s.update(ctx)
}

// ready opens the folder with lists that are new enough, for this process
// alone.
func (c *Client) ready(ctx context.Context) (*state, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	if fi, err := os.Stat(s.stamp()); err == nil && time.Since(fi.ModTime()) < maxAge {
		return s, nil
	}
	if err := s.update(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// stamp is a file whose time is that of the last update.
func (s *state) stamp() string { return filepath.Join(s.dir, "updated") }

func (s *state) update(ctx context.Context) error {
	out, said, err := s.run(ctx, s.dir, "apt-get", "update")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(said) == 0 {
		return err
	}
	names, _, namesErr := s.run(ctx, s.dir, "apt-cache", "pkgnames")
	if namesErr != nil {
		return fmt.Errorf("reading the package lists: %w", namesErr)
	}
	if len(bytes.TrimSpace(names)) == 0 {
		if len(said) > 0 {
			return fmt.Errorf("updating the package lists: %w", said.fault())
		}
		return fault.New(fault.Input, fmt.Errorf("the package sources offer no packages for %s", s.o.Arch),
			"name a sources.list in sources.apt.list")
	}
	for _, line := range said {
		s.o.Log.Warn("a package source has a problem", "problem", line)
	}
	if !bytes.Contains(out, []byte("Hit:")) && !bytes.Contains(out, []byte("Get:")) {
		s.o.Log.Warn("no package source answers; using the package lists from before")
		return nil
	}
	if err := os.WriteFile(s.stamp(), nil, 0o644); err != nil {
		return fault.New(fault.Environment, err)
	}
	now := time.Now()
	return os.Chtimes(s.stamp(), now, now)
}
