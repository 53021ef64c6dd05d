package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm/matrix"
)

// TestReadyRecipes builds every recipe that comes with the program, as the
// program carries it, and boots it by BIOS to the checks of the recipe. The
// kernel is built once, and kept in the user's cache like everything else.
func TestReadyRecipes(t *testing.T) {
	dir := readyRecipes(t)
	for _, name := range recipes.Builtins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // an emulated machine takes one processor
			out := t.TempDir()
			text := imgbuild(t, "test", filepath.Join(dir, name+".yaml"), "-o", out, "--on", "bios", "--json")
			var report matrix.Result
			if err := json.Unmarshal(text, &report); err != nil {
				t.Fatal(err)
			}
			if !report.OK || len(report.Runs) != 1 || len(report.Runs[0].Results) < 2 {
				t.Errorf("the report is %s", text)
			}
			for _, r := range report.Runs[0].Results {
				t.Logf("%s: %s after %.1f s", r.Check, r.Detail, r.Elapsed)
			}
			for _, format := range []string{"raw", "qcow2", "ova", "json"} {
				info, err := os.Stat(filepath.Join(out, name+"."+format))
				if err != nil || info.Size() == 0 {
					t.Errorf("there is no %s: %v", format, err)
				}
			}
		})
	}
}

// clientOfZookeeper writes a node, unless it is there, and prints it.
const clientOfZookeeper = `
import sys
from kazoo.client import KazooClient
client = KazooClient(hosts=sys.argv[1], timeout=30)
client.start(timeout=300)
if sys.argv[2] == "write":
    client.create("/kept", b"through a restart")
print(client.get("/kept")[0].decode())
client.stop()
`

// TestZookeeperKeepsItsData lets a client of somebody else's write to the
// appliance, switches that off by its power button, and reads after the next
// boot.
func TestZookeeperKeepsItsData(t *testing.T) {
	dir := readyRecipes(t)
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import kazoo").CombinedOutput(); err != nil {
		lacks(t, "apt-get install python3-kazoo: %v: %s", err, out)
	}
	out := t.TempDir()
	imgbuild(t, "build", filepath.Join(dir, "zookeeper.yaml"), "-o", out, "--set", "outputs=[raw]")
	for _, what := range []string{"write", "read"} {
		machine := boot(t, filepath.Join(out, "zookeeper.raw"), "2181")
		said, err := exec.CommandContext(t.Context(), python, "-c", clientOfZookeeper, machine.addr, what).Output()
		if err != nil || string(said) != "through a restart\n" {
			t.Fatalf("to %s, the client says %q, error %v; the console:\n%s", what, said, err, machine.kill())
		}
		machine.powerOff(t)
	}
}

// readyRecipes lays out the recipes that come with the program, and the
// examples that some of them wrap, as they stand in the source tree: without
// the locks that somebody may have there.
func readyRecipes(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and boots")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "recipes")
	for _, name := range recipes.Builtins() {
		files, err := ready(filepath.Join(dir, name+".yaml"), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeNew(files, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, example := range []string{"hello-jvm", "go-static"} {
		built := filepath.Join("examples", example, "build")
		err := os.CopyFS(filepath.Join(root, built), os.DirFS(filepath.Join("../..", built)))
		if errors.Is(err, fs.ErrNotExist) {
			lacks(t, "make examples: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lacks skips a test for which the machine lacks something, but fails it when
// CI is true.
func lacks(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// imgbuild runs the program and returns what it printed.
func imgbuild(t *testing.T, args ...string) []byte {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "imgbuild", args...)
	cmd.Env = append(os.Environ(), "IMGBUILD_PROGRESS=plain")
	cmd.Stderr = &said
	text, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == int(fault.Environment) {
		lacks(t, "imgbuild %s:\n%s", strings.Join(args, " "), said.Bytes())
	}
	if err != nil {
		t.Fatalf("imgbuild %s: %v\n%s%s", strings.Join(args, " "), err, text, said.Bytes())
	}
	return text
}

// booted is a machine that `imgbuild run` keeps.
type booted struct {
	cmd     *exec.Cmd
	addr    string // of the guest's port, here
	console bytes.Buffer
}

// forwarded is what `imgbuild run` says of a port.
var forwarded = regexp.MustCompile(`(127\.0\.0\.1:\d+) leads to port`)

// boot runs an image that the guest may change.
func boot(t *testing.T, image, port string) *booted {
	t.Helper()
	b := &booted{cmd: exec.CommandContext(t.Context(), "imgbuild", "run", image, "--write", "-p", "0:"+port)}
	b.cmd.Stdout = &b.console
	stderr, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); b.addr == "" && lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if m := forwarded.FindStringSubmatch(lines.Text()); m != nil {
			b.addr = m[1]
		}
	}
	if b.addr == "" {
		t.Fatalf("running %s: %v\n%s", image, b.cmd.Wait(), said.String())
	}
	return b
}

// kill pulls the plug and returns what was on the console.
func (b *booted) kill() []byte {
	b.cmd.Process.Kill()
	b.cmd.Wait()
	return b.console.Bytes()
}

// powerOff ends the machine as Ctrl-C does, and wants it to end in order.
func (b *booted) powerOff(t *testing.T) {
	t.Helper()
	if err := b.cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := b.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != int(fault.Interrupted) || !strings.Contains(b.console.String(), "imgbuild: poweroff") {
		t.Fatalf("switching the machine off: %v; the console:\n%s", err, b.console.Bytes())
	}
}
