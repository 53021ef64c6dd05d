package outputtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk/disktest"
)

// Registry runs Debian's container registry on the loopback for the length of
// the test, and returns its address. extra are lines of its configuration. It
// knows nothing of subjects and referrers.
func Registry(t testing.TB, extra string) string {
	t.Helper()
	program := disktest.Program(t, "docker-registry", "docker-registry")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: %s}\n%s", dir, addr, extra)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 600 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the registry does not start")
	return ""
}

// Passwords is the configuration of a [Registry] that lets in only the user
// "user" with the password "secret".
func Passwords(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords")
	// bcrypt of "secret".
	if err := os.WriteFile(path, []byte("user:$2y$04$iQu1LdhhVQv4jG60sHtGVuwQTJlswGYKSObaZ4zX.lcCQa3bPG4p2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", path)
}
