package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// Tool is an external program that a stage runs. Its version is part of the
// stage's key.
type Tool struct {
	Name    string // of the program: mkfs.erofs
	Package string // Debian package that brings it: erofs-utils
	// VersionArgs make the program tell its version, on either output and
	// with any exit status. VersionRegexp finds it there: its first group, or
	// all of the match. Without it the version is the first line.
	VersionArgs   []string
	VersionRegexp string
}

// toolTimeout is how long a program may take to tell its version.
const toolTimeout = 30 * time.Second

// adminDirs are where Debian keeps programs for administrators, which work for
// anyone on files of their own but are not on everyone's PATH.
var adminDirs = [...]string{"/usr/local/sbin", "/usr/sbin", "/sbin"}

// FindTool returns the path of a program and its version. When there is no
// such program the error is of kind fault.Environment and says what to
// install.
func FindTool(ctx context.Context, t Tool) (path, version string, err error) {
	if path, err = lookTool(t); err != nil {
		return "", "", err
	}
	version, err = toolVersion(ctx, t, path)
	return path, version, err
}

func lookTool(t Tool) (string, error) {
	path, err := exec.LookPath(t.Name)
	if err == nil {
		return filepath.Abs(path)
	}
	if !strings.Contains(t.Name, "/") {
		for _, dir := range adminDirs {
			if path, err := exec.LookPath(filepath.Join(dir, t.Name)); err == nil {
				return path, nil
			}
		}
	}
	if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Environment, fmt.Errorf("finding %s: %w", t.Name, err))
	}
	return "", fault.New(fault.Environment,
		fmt.Errorf("%s is not installed", t.Name),
		"apt-get install "+t.Package)
}

func toolVersion(ctx context.Context, t Tool, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, t.VersionArgs...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	// What it started may hold the output open beyond its end.
	cmd.WaitDelay = time.Second
	out, runErr := cmd.CombinedOutput()
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", path, err)
	}
	text := strings.TrimSpace(string(out))
	version, _, _ := strings.Cut(text, "\n")
	if t.VersionRegexp != "" {
		re, err := regexp.Compile(t.VersionRegexp)
		if err != nil {
			return "", fmt.Errorf("asking %s for its version: %w", path, err)
		}
		match := re.FindStringSubmatch(text)
		if match == nil {
			version = ""
		} else {
			version = match[min(1, len(match)-1)]
		}
	}
	if version == "" {
		return "", fault.New(fault.Environment,
			errors.Join(fmt.Errorf("asking %s for its version: it said %.200q", path, text), runErr),
			"is it the one of the Debian package "+t.Package+"?")
	}
	return version, nil
}

// Toolbox finds programs and remembers their versions as long as the files do
// not change. The zero value is ready for use, also by several goroutines.
type Toolbox struct {
	mu       sync.Mutex
	versions map[toolFile]string
}

// toolFile is a program as it was when it was asked.
type toolFile struct {
	path, args, regexp string
	mtime              time.Time
	size               int64
}

// Find is FindTool that asks each program once.
func (b *Toolbox) Find(ctx context.Context, t Tool) (path, version string, err error) {
	if path, err = lookTool(t); err != nil {
		return "", "", err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("finding %s: %w", t.Name, err)
	}
	file := toolFile{path, strings.Join(t.VersionArgs, "\x00"), t.VersionRegexp, fi.ModTime(), fi.Size()}
	b.mu.Lock()
	version, known := b.versions[file]
	b.mu.Unlock()
	if known {
		return path, version, nil
	}
	if version, err = toolVersion(ctx, t, path); err != nil {
		return "", "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.versions == nil {
		b.versions = make(map[toolFile]string)
	}
	b.versions[file] = version
	return path, version, nil
}
