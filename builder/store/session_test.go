package store_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSweep opens a store in which a killed process left things at every step,
// beside one that is still in use.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	alive := open(t, dir)
	scratch, _, err := alive.Scratch("mine")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := alive.Lock(t.Context(), "mine", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	half, err := alive.Create(t.Context(), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	for _, path := range []string{
		"sessions/1111/lock", "sessions/1111/1111-1-stage/read-only/f", "sessions/2222/nothing",
		"content/ingest/aaaa/ref", "content/ingest/bbbb/data", "content/.fsverity-check-1/supported", "locks/cccc",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("1111-1"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "sessions/1111/1111-1-stage/read-only"), 0o555); err != nil {
		t.Fatal(err)
	}
	count := func(pattern string, want int) {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) != want {
			t.Errorf("%s: %v %v", pattern, found, err)
		}
	}
	second := open(t, dir)
	count("sessions/*", 2)
	count("locks/*", 1)
	count("content/.fsverity*", 0)
	// One without a reference may be of any that live.
	count("content/ingest/*", 2)
	if _, err := os.Stat(scratch); err != nil {
		t.Error(err)
	}
	if _, err := half.Write([]byte("half")); err != nil {
		t.Error(err)
	}
	if _, err := half.Commit(t.Context()); err != nil {
		t.Error(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := alive.Close(); err != nil {
		t.Error(err)
	}
	count("sessions/*", 0)
	count("content/ingest/*", 0)
}
