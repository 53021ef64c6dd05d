package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// run runs a program of apt in a folder and returns what it printed, together
// with its complaints: the lines that begin with E: or W:.
func (s *state) run(ctx context.Context, dir, program string, args ...string) ([]byte, complaints, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, nil, fault.New(fault.Environment, fmt.Errorf("%s is not installed", program),
			"install the package apt, or name a JDK and a kernel that do not come from packages")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", s.conf, "-q"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// apt ends its download processes itself when it is asked to.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	s.o.Log.Debug("running apt", "program", program, "args", args)
	err = cmd.Run()
	said := parseComplaints(stdout.String() + "\n" + stderr.String())
	if ctx.Err() != nil {
		return nil, said, ctx.Err()
	}
	if err != nil && len(said) == 0 {
		return stdout.Bytes(), said, fmt.Errorf("running %s: %w", program, err)
	}
	if err != nil {
		return stdout.Bytes(), said, said.fault()
	}
	return stdout.Bytes(), said, nil
}

// complaints are apt's errors and warnings, without their prefix.
type complaints []string

func parseComplaints(out string) complaints {
	var said complaints
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "E: "); ok {
			said = append(said, rest)
		} else if rest, ok := strings.CutPrefix(line, "W: "); ok {
			said = append(said, rest)
		}
	}
	return said
}

// first returns the first complaint that matches, shortened to its cause.
func (c complaints) first(re *regexp.Regexp) (string, bool) {
	for _, line := range c {
		if re.MatchString(line) {
			return cause(line), true
		}
	}
	return "", false
}

var (
	address     = regexp.MustCompile(`(?i)\b[a-z+]+:/[^\s']*\s*`)
	unreachable = regexp.MustCompile(`(?i)could not (resolve|connect)|temporary failure|unable to connect|` +
		`connection (refused|timed out|reset|failed)|network is unreachable|no route to host|cannot initiate the connection`)
	unsigned  = regexp.MustCompile(`(?i)not signed|NO_PUBKEY|signatures? (couldn't|were|was)|EXPKEYSIG|KEYEXPIRED|BADSIG|does not have a Release file`)
	noSpace   = regexp.MustCompile(`(?i)no space left|enough free space`)
	forbidden = regexp.MustCompile(`(?i)permission denied|\(13: `)
	gone      = regexp.MustCompile(`(?i)Version '.*' for '.*' was not found|Unable to locate package|404 +Not Found|` +
		`Can't find a source|no installation candidate|File not found|Hash Sum mismatch|unexpected size`)
)

// cause drops the address from a complaint about a download, which leaves what
// went wrong.
func cause(line string) string {
	line = strings.TrimPrefix(line, "Failed to fetch ")
	return strings.Join(strings.Fields(address.ReplaceAllString(line, "")), " ")
}

// errGone marks a package that the sources do not offer.
var errGone = errors.New("no longer offered")

// fault turns the complaints of a failed run into one error.
func (c complaints) fault() error {
	if line, ok := c.first(noSpace); ok {
		return fault.New(fault.Environment, fmt.Errorf("apt: %s", line), "free some space in the cache folder")
	}
	if line, ok := c.first(forbidden); ok {
		return fault.New(fault.Environment, fmt.Errorf("apt: %s", line), "is the cache folder another user's?")
	}
	if line, ok := c.first(unreachable); ok {
		return fault.New(fault.Input, fmt.Errorf("the package sources cannot be reached: %s", line),
			"check the network and the proxy settings of apt")
	}
	if line, ok := c.first(unsigned); ok {
		return fault.New(fault.Input, fmt.Errorf("a package source is not signed by a trusted key: %s", line),
			"set sources.apt.keyring to the keyring of the source")
	}
	if line, ok := c.first(gone); ok {
		return fault.New(fault.Input, fmt.Errorf("%w: %s", errGone, line))
	}
	return fault.New(fault.Input, fmt.Errorf("apt: %s", cause(c[0])))
}
