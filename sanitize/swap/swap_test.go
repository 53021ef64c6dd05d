package swap_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/swap"
)

func TestContract(t *testing.T) {
	fstest.Need(t, "util-linux", "mkswap", "swaplabel")
	for _, page := range []string{"4096", "65536"} {
		t.Run(page, func(t *testing.T) {
			var label string
			fstest.Suite{
				Driver: swap.Driver{},
				Make: func(t *testing.T, path string) {
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.Truncate(path, 4<<20+4096); err != nil {
						t.Fatal(err)
					}
					fstest.Program(t, "mkswap", "-p", page, "-L", "pages", path)
				},
				Check: func(t *testing.T, path string) {
					got := fstest.Program(t, "swaplabel", path)
					if label == "" {
						label = got
					}
					if got != label || !strings.Contains(got, "pages") {
						t.Errorf("swaplabel reads %q, before %q", got, label)
					}
				},
			}.Run(t)
		})
	}
}

func TestSuspended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "swap")
	d, err := disk.CreateFile(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.WriteAt([]byte("S1SUSPEND"), 4086); err != nil {
		t.Fatal(err)
	}
	if _, err := (swap.Driver{}).Open(context.Background(), d); !errors.Is(err, sanitize.ErrRefused) {
		t.Errorf("a suspended system gives %v", err)
	}
}
