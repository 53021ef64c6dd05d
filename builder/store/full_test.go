package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
)

// TestFull fills a small file system: the error tells so, and nothing is
// recorded.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small tmpfs needs root: %v", err)
	}
	// Detached, because something that looks through /tmp may just be there.
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s, err := store.Open(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(what string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Environment || !errors.Is(err, unix.ENOSPC) || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: error %v, kind %v, hints %q", what, err, fault.KindOf(err), fault.HintsOf(err))
		}
	}
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i*i>>8) | 1
	}
	w, err := s.Create(t.Context(), "application/octet-stream")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(noise)
	check("writing", err)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if left := files(t, s, "content"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	layer := put(t, s, ocispec.MediaTypeImageLayer, gz(t, tarOf(t, "big", string(noise))))
	_, err = s.Tree(t.Context(), layer)
	check("unpacking", err)
	if left := files(t, s, "trees"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	out := builder.Outputs{"layer": layer}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(noise[:4096])
	}
	key := digest.FromString("key")
	check("recording", s.Record(t.Context(), key, out, store.Meta{Title: strings.Repeat("long ", 2000)}))
	if _, ok, err := s.Lookup(t.Context(), key); ok || err != nil {
		t.Errorf("recorded: %v %v", ok, err)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
}
