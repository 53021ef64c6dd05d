package stages

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A runtime that was linked under another umask gets the same modes.
func TestEvenMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		had, want fs.FileMode
	}{
		{"data", 0o600, 0o644},
		{"program", 0o700, 0o755},
		{"folder", fs.ModeDir | 0o700, fs.ModeDir | 0o755},
		{"shared", 0o664, 0o644},
	} {
		path := filepath.Join(t.TempDir(), test.name)
		if test.had.IsDir() {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.had.Perm()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := evenMode(path, fs.FileInfoToDirEntry(info)); err != nil {
			t.Fatal(err)
		}
		if info, err = os.Lstat(path); err != nil {
			t.Fatal(err)
		}
		if info.Mode() != test.want {
			t.Errorf("%s: mode %v became %v, want %v", test.name, test.had, info.Mode(), test.want)
		}
	}
}
