// Command imgbuild turns a jar into an appliance: a small kernel, one init, a
// trimmed JVM and the app, on one scrubbed disk.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/imgbuild/imgbuild/stages/sandbox"
	"github.com/imgbuild/imgbuild/vm/keep"
)

func main() { os.Exit(run()) }

// run is main without the exit, so that tests can call it.
func run() int {
	// Inside a sandbox this program is also the relay to the app, and beside a
	// machine in the background its keeper.
	if sandbox.HelperMain(os.Args) || keep.HelperMain(os.Args) {
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	c := &cli{stdout: os.Stdout, stderr: os.Stderr}
	return c.execute(ctx, os.Args[1:])
}
