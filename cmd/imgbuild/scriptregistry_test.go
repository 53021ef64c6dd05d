package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry starts an empty container registry of the script's own, and puts
// its address into a variable.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "registry VARIABLE")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	addr := free.Addr().String()
	ts.Check(free.Close())

	dir := ts.MkAbs("registry")
	ts.Check(os.Mkdir(dir, 0o755))
	conf := filepath.Join(dir, "config.yml")
	ts.Check(os.WriteFile(conf, fmt.Appendf(nil, "version: 0.1\nlog: {level: error}\n"+
		"storage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", dir, addr), 0o644))
	cmd := exec.Command("docker-registry", "serve", conf)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			ts.Setenv(args[0], addr)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("the registry at %s does not listen", addr)
}
