package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/plugins/content/local"

	"github.com/imgbuild/imgbuild/flock"
)

// session is the presence of one process in the store: a folder for unfinished
// work with a lock that lives as long as the process.
type session struct {
	id      string
	dir     string
	lock    *os.File
	started time.Time
	count   atomic.Int64 // numbers what the session makes
}

// next returns a name that no other ingest or scratch folder has.
func (s *session) next() string { return fmt.Sprintf("%s-%d", s.id, s.count.Add(1)) }

// lockName is the file in a session's folder that is locked. Its modification
// time is when the session began.
const lockName = "lock"

// begin sweeps the leftovers of killed processes, opens the content store and
// starts a session.
func (s *Store) begin() (*session, error) {
	release, err := s.guard(flock.Exclusive)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := s.sweep(); err != nil {
		return nil, err
	}
	if s.content, err = local.NewStore(s.path("content")); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.path("sessions"), "")
	if err != nil {
		return nil, err
	}
	lock, err := flock.Try(filepath.Join(dir, lockName), flock.Exclusive)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := os.Chtimes(lock.Name(), now, now); err != nil {
		lock.Close()
		return nil, err
	}
	return &session{id: filepath.Base(dir), dir: dir, lock: lock, started: now}, nil
}

// end removes the session.
func (s *Store) end() error {
	release, err := s.guard(flock.Exclusive)
	if err != nil {
		return err
	}
	defer release()
	err = removeAll(s.session.dir)
	return errors.Join(err, s.session.lock.Close(), s.sweepIngests())
}

// sweep removes the sessions of processes that no longer live, what they were
// writing, and their lock files. The guard is held.
func (s *Store) sweep() error {
	sessions, err := os.ReadDir(s.path("sessions"))
	if err != nil {
		return err
	}
	for _, e := range sessions {
		dir := s.path("sessions", e.Name())
		lock, err := flock.Try(filepath.Join(dir, lockName), flock.Exclusive)
		if errors.Is(err, flock.ErrHeld) {
			continue
		}
		if err != nil {
			return err
		}
		s.log.Debug("removing what a killed process left behind", "session", e.Name())
		err = removeAll(dir)
		lock.Close()
		if err != nil {
			return err
		}
	}
	// The local content store tries out what the file system can do in such
	// folders, in begin, where the guard is held too.
	checks, err := filepath.Glob(s.path("content", ".fsverity-check-*"))
	if err != nil {
		return err
	}
	for _, dir := range checks {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := s.sweepLocks(); err != nil {
		return err
	}
	return s.sweepIngests()
}

// sweepLocks removes lock files that nobody holds.
func (s *Store) sweepLocks() error {
	locks, err := os.ReadDir(s.path("locks"))
	if err != nil {
		return err
	}
	for _, e := range locks {
		path := s.path("locks", e.Name())
		f, err := flock.Try(path, flock.Exclusive)
		if errors.Is(err, flock.ErrHeld) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.Remove(path)
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// sweepIngests removes half-written artifacts whose session is gone. The local
// content store keeps each in ingest/<digest>, with the reference that it was
// opened by in the file "ref"; ours begin with the session's name.
func (s *Store) sweepIngests() error {
	ingests, err := os.ReadDir(s.path("content", "ingest"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	alive := make(map[string]bool)
	sessions, err := os.ReadDir(s.path("sessions"))
	if err != nil {
		return err
	}
	for _, e := range sessions {
		alive[e.Name()] = true
	}
	for _, e := range ingests {
		dir := s.path("content", "ingest", e.Name())
		ref, err := os.ReadFile(filepath.Join(dir, "ref"))
		owner, _, _ := strings.Cut(string(ref), "-")
		// Without a readable reference it may be one that is just being
		// begun, by any of those alive.
		if alive[owner] || (err != nil || owner == "") && len(alive) > 0 {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// Scratch makes an empty private folder on the file system of the store. It is
// gone after remove, or with the session.
func (s *Store) Scratch(name string) (dir string, remove func() error, err error) {
	dir = filepath.Join(s.session.dir, s.session.next()+"-"+fileName(name))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", nil, s.Diagnose(fmt.Errorf("making a scratch folder: %w", err))
	}
	return dir, func() error { return removeAll(dir) }, nil
}

// fileName makes a name safe to be part of a file name.
func fileName(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	return safe[:min(len(safe), 64)]
}

// removeAll is os.RemoveAll that also removes what is in folders without write
// permission, which an ordinary user may have unpacked.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			// Called before the folder is read. What cannot be changed shows
			// when it is removed.
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
