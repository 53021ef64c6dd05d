package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Only a guest with little memory reads less ahead.
func TestFitReadahead(t *testing.T) {
	sys := t.TempDir()
	path := filepath.Join(sys, "vda", "queue", "read_ahead_kb")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	for memory, want := range map[uint64]string{scarce: "128", scarce - 1: frugal} {
		if err := os.WriteFile(path, []byte("128"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := fitReadahead(sys, memory); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("with %d bytes of memory read_ahead_kb is %q, %v; want %s", memory, got, err, want)
		}
	}
	if err := fitReadahead(t.TempDir(), 1); err != nil {
		t.Errorf("a guest without disks: %v", err)
	}
	if totalMemory() < 1<<20 {
		t.Errorf("this host has %d bytes of memory", totalMemory())
	}
}
