package flock_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/flock"
)

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	one, err := flock.Try(path, flock.Shared)
	if err != nil {
		t.Fatal(err)
	}
	two, err := flock.Try(path, flock.Shared)
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	if _, err := flock.Try(path, flock.Exclusive); !errors.Is(err, flock.ErrHeld) {
		t.Errorf("error %v beside readers", err)
	}
	two.Close()
	if err := flock.TryFile(one, flock.Exclusive); err != nil {
		t.Errorf("the only reader becomes the writer: %v", err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	waited := 0
	if _, err := flock.Wait(ctx, path, flock.Shared, func() { waited++; cancel(gone) }); !errors.Is(err, gone) || waited != 1 {
		t.Errorf("error %v, told %d times of waiting", err, waited)
	}
}

// TestRemoved has a holder remove the file, then the folder, that others wait
// for.
func TestRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	path := filepath.Join(dir, "lock")
	wait := func(remove func() error) (*os.File, error) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		holder, err := flock.Take(path, flock.Exclusive)
		if err != nil {
			t.Fatal(err)
		}
		return flock.Wait(t.Context(), path, flock.Exclusive, func() {
			if err := errors.Join(remove(), holder.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	f, err := wait(func() error { return os.Remove(path) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flock.Try(path, flock.Shared); !errors.Is(err, flock.ErrHeld) {
		t.Errorf("error %v: the lock is on a file without a name", err)
	}
	f.Close()
	if _, err := wait(func() error { return os.RemoveAll(dir) }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v when the folder is gone", err)
	}
}
