package disktest

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program that judges. Where it is missing the
// test is skipped, or fails when the environment variable CI is "true".
func Program(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is needed: install the Debian package %s", name, pkg)
	}
	t.Skipf("%s is not installed: it is in the Debian package %s", name, pkg)
	return ""
}

// Run runs a program that must succeed, and returns what it wrote.
func Run(t testing.TB, program string, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out.Bytes())
	}
	return out.String()
}
