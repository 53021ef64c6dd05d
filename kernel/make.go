package kernel

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// usualSteps is about how many lines make prints while it builds the built-in
// fragments from nothing: what a dry run of make counted for Linux 6.12.117, up
// to the link. A dry run each time would cost
// a third of a build with a warm ccache.
const usualSteps = 2111

// keptLines is how much of make's output an error quotes.
const keptLines = 30

// killPatience is how long a cancelled build may take to end.
const killPatience = 10 * time.Second

// maker runs make in a source tree.
type maker struct {
	tree     string
	env      []string
	args     []string
	log      hclog.Logger
	progress func(done, total int64)
	done     int64
}

func newMaker(o Options) (*maker, error) {
	work, err := filepath.Abs(o.WorkDir)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", o.WorkDir, err)
	}
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	m := &maker{
		tree:     filepath.Join(work, "linux"),
		env:      buildEnv(),
		args:     []string{"-j" + strconv.Itoa(jobs)},
		log:      o.Log,
		progress: o.Progress,
	}
	if m.log == nil {
		m.log = hclog.NewNullLogger()
	}
	if o.CCache {
		if _, err := exec.LookPath("ccache"); err == nil {
			m.args = append(m.args, "CC=ccache gcc", "HOSTCC=ccache gcc")
		} else {
			m.log.Info("ccache is not installed: compiling every file")
		}
	}
	return m, nil
}

// buildEnv is the environment of make and all below it: what finds programs
// and ccache's store, and nothing that a compiler or kbuild would obey, like
// MAKEFLAGS, CFLAGS or ARCH. The rest is what kbuild would otherwise take from
// the machine and the clock (Documentation/kbuild/reproducible-builds.rst).
func buildEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if name == "PATH" || name == "HOME" || name == "TMPDIR" || strings.HasPrefix(name, "CCACHE_") {
			env = append(env, e)
		}
	}
	return append(env,
		"LC_ALL=C", "TZ=UTC",
		"KBUILD_BUILD_USER=imgbuild",
		"KBUILD_BUILD_HOST=imgbuild",
		"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970",
		"KBUILD_BUILD_VERSION=1",
		// Set but empty: setlocalversion then does not look for a repository
		// around the tree.
		"LOCALVERSION=",
	)
}

// make runs make with the given arguments. Its error carries the end of what
// make printed.
func (m *maker) make(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "make", append(append([]string{}, m.args...), args...)...)
	cmd.Dir, cmd.Env = m.tree, m.env
	// A process group of its own, so that cancelling ends the compilers too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killPatience
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	tail := make(chan []string, 1)
	go func() { tail <- m.follow(r) }()
	err := cmd.Run()
	w.Close()
	lines := <-tail
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("make: %w\n%s", err, strings.Join(lines, "\n"))
	}
	return nil
}

// follow logs and counts the lines of make and returns the last of them.
func (m *maker) follow(r io.Reader) []string {
	var last []string
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			m.log.Debug("make", "line", line)
			last = append(last, line)
			last = last[max(0, len(last)-keptLines):]
			m.step(line)
		}
		if err != nil {
			return last
		}
	}
}

// step counts a line that tells of a file made, such as "  CC      init/main.o".
func (m *maker) step(line string) {
	if !strings.HasPrefix(line, "  ") {
		return
	}
	m.done++
	if m.progress != nil {
		m.progress(m.done, max(m.done, usualSteps))
	}
}

func trimNewline(b []byte) []byte { return bytes.TrimRight(b, "\n") }
