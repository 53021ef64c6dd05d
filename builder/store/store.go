// Package store keeps what stages make: artifacts by their digest, the results
// of stages by key, and unpacked trees. It is a typed layer over containerd's
// local content store, in one folder that any number of processes share.
//
// # Layout
//
//	content/    artifacts, in containerd's local content store
//	results/    one JSON record a key: the outputs of a stage
//	history/    one JSON record a stage name: what it was made of last time
//	trees/      layers, unpacked one over the other
//	sessions/   a folder for each process that has the store open
//	locks/      files that are locked while one thing is being made
//
// Others may keep folders of their own beside these, such as the lists of a
// package manager. One with a file "lock" is listed and pruned too. Whoever uses
// it locks that file (package flock), shared or not, and sets its modification
// time, which tells when the folder was last used.
//
// # Crashes
//
// Everything becomes visible by a rename within the file system, after it is
// complete and synced. What is unfinished lives in the session of its process
// or carries the session's name. A session is locked as long as its process
// lives, so [Open] can tell the leftovers of a killed process, and removes
// them.
//
// # Reachability
//
// An artifact is kept as long as a result refers to it, directly or through an
// OCI index or manifest. [Store.Prune] removes results and trees by age or
// size, then the artifacts that nothing refers to. What was used since the
// oldest running session began is never removed, so a build is safe while
// another process prunes.
package store

import (
	_ "crypto/sha512" // a digest that images and recipes may use
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/hashicorp/go-hclog"

	"github.com/imgbuild/imgbuild/fault"
)

// DirEnv is the environment variable that overrides the cache folder.
const DirEnv = "IMGBUILD_CACHE_DIR"

// DefaultDir returns the cache folder: the value of DirEnv, or imgbuild in the
// user's cache folder.
func DefaultDir() (string, error) {
	if dir := os.Getenv(DirEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder (set %s): %w", DirEnv, err)
	}
	return filepath.Join(dir, "imgbuild"), nil
}

// Store is a folder of artifacts and results. It implements builder.Store and
// is safe for concurrent use, also by several processes.
type Store struct {
	dir     string
	log     hclog.Logger
	content content.Store
	session *session
}

// cacheTag tells backup programs to leave the folder alone
// (https://bford.info/cachedir/).
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of imgbuild. It can be removed at any time.\n"

// ownFolders are the store's, in the cache folder.
var ownFolders = []string{"content", "results", "history", "trees", "sessions", "locks"}

// Open opens the store in dir, which is made when it does not exist, and
// removes what killed processes left behind.
func Open(dir string, log hclog.Logger) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s := &Store{dir: dir, log: log.Named("store")}
	for _, sub := range ownFolders {
		if err := os.MkdirAll(s.path(sub), 0o755); err != nil {
			return nil, s.unusable(err)
		}
	}
	if err := s.tag(); err != nil {
		return nil, s.unusable(err)
	}
	if s.session, err = s.begin(); err != nil {
		return nil, s.unusable(err)
	}
	return s, nil
}

// unusable says that the store cannot be opened in its folder, whatever the
// reason: it is the machine's.
func (s *Store) unusable(err error) error {
	err = s.Diagnose(fmt.Errorf("opening the cache: %w", err))
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.New(fault.Environment, err, fmt.Sprintf("set %s to a folder of your own", DirEnv))
}

// Close ends the session: unfinished work is dropped. Nothing of the store may
// be used afterwards.
func (s *Store) Close() error {
	if err := s.end(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Dir returns the folder of the store.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

func (s *Store) tag() error {
	f, err := os.OpenFile(s.path("CACHEDIR.TAG"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(cacheTag)
	return errors.Join(err, f.Close())
}
