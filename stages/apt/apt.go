// Package apt gets Debian packages through apt itself: its resolver, its
// signature check, its proxies and mirrors.
//
// apt runs on private folders. The package state of the machine is neither
// read nor changed: dependencies are resolved from an empty system, so the
// same lists give the same answer everywhere, and nothing but apt's own
// programs is needed, as root or as an ordinary user. Only the sources, their
// keys and their settings come from the machine, unless [Options] name others.
//
// A client locks and fetches:
//
//	c := apt.New(apt.Options{CacheDir: dir, Log: log})
//	locked, err := c.Resolve(ctx, []string{"openjdk-17-jre-headless"})
//	descs, err := c.Fetch(ctx, store, locked, nil)
//
// [Client.Resolve] gives names, versions and digests, which go into a lock
// file. [Client.Fetch] gets exactly those versions and trusts their digests
// alone. [Read] looks into a package file.
package apt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
)

// MediaType is the media type of a Debian package.
const MediaType = "application/vnd.debian.binary-package"

// Options of a [Client].
type Options struct {
	// CacheDir holds the private folders of apt. Several processes may share
	// it.
	CacheDir string
	// SourcesList is the path of a sources.list, or of a deb822 file that
	// ends in .sources. When empty, the sources of the machine are used.
	SourcesList string
	// Keyring is the path of the keyring that sources are trusted by, if they
	// name none themselves. When empty, the machine's keys are used.
	Keyring string
	// Arch is the Debian architecture; amd64 by default.
	Arch string
	// Log receives warnings, such as a source that does not answer.
	Log hclog.Logger
}

// Client runs apt. It is safe for concurrent use.
type Client struct {
	o Options
}

// New returns a client. It touches nothing.
func New(o Options) *Client {
	if o.Arch == "" {
		o.Arch = "amd64"
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Client{o}
}

// state is a private apt folder, locked.
type state struct {
	*Client
	dir  string
	conf string // path of apt's configuration
	lock *os.File
}

// open prepares the private folder for the sources as they are now and locks
// it for itself.
func (c *Client) open(ctx context.Context) (*state, error) {
	id, err := c.sourcesID()
	if err != nil {
		return nil, err
	}
	base, err := filepath.Abs(c.o.CacheDir)
	if err != nil {
		return nil, err
	}
	s := &state{Client: c, dir: filepath.Join(base, "apt-"+id)}
	s.conf = filepath.Join(s.dir, "apt.conf")
	if err := s.take(ctx); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("locking apt's private folder: %w", err))
	}
	if err := s.prepare(); err != nil {
		s.close()
		return nil, fault.New(fault.Environment, fmt.Errorf("preparing apt's private folder: %w", err))
	}
	if err := s.configure(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// take makes the folder and locks it, again when it was pruned meanwhile. The
// time of the lock tells the cache when the folder was last used.
func (s *state) take(ctx context.Context) (err error) {
	path := filepath.Join(s.dir, "lock")
	for {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return err
		}
		s.lock, err = flock.Wait(ctx, path, flock.Exclusive, nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		now := time.Now()
		return os.Chtimes(path, now, now)
	}
}

// prepare makes what is in the folder, and removes what killed processes were
// fetching: those that live share the lock.
func (s *state) prepare() error {
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial", "log"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	left, err := filepath.Glob(filepath.Join(s.dir, fetching+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (s *state) close() { s.lock.Close() }

// sourcesID names the sources by their content, so that changed sources get a
// fresh folder.
func (c *Client) sourcesID() (string, error) {
	paths := []string{c.o.SourcesList, c.o.Keyring}
	if c.o.SourcesList == "" {
		for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
			found, _ := filepath.Glob(filepath.Join("/etc/apt", pattern))
			paths = append(paths, found...)
		}
	}
	sort.Strings(paths)
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", c.o.Arch, paths)
	for _, path := range paths {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fault.New(fault.Input, fmt.Errorf("reading the package sources: %w", err))
		}
		fmt.Fprintf(h, "%d\n%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}
