package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder/store"
)

// commands are what the scripts have beyond those of testscript.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":     exits,
	"fails":     fails,
	"json":      checkJSON,
	"jsonlines": checkLines,
	"nofiles":   noFiles,
	"fixture":   fixture,
	"registry":  startRegistry,
	"owncache":  ownCache,
	"stopped":   stopped,
	"killed":    killed,
	"tmpfs":     tmpfs,
}

func usage(ts *testscript.TestScript, neg, ok bool, text string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// exits runs a program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "exits CODE PROGRAM ARGUMENT...")
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%s ended with %d, not %s", strings.Join(args[1:], " "), code, want)
	}
}

// fails is exits for a run that fails as it should: nothing on stdout, one
// error on stderr, and below it what to do.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	exits(ts, neg, args)
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("on stdout: %s", out)
	}
	said := ts.ReadFile("stderr")
	if n := strings.Count("\n"+said, "\nimgbuild: "); n != 1 {
		ts.Fatalf("%d errors instead of one", n)
	}
	_, after, _ := strings.Cut("\n"+said, "\nimgbuild: ")
	advice := regexp.MustCompile(`  hint: |; write | is not one of \[`)
	if args[0] != "130" && !advice.MatchString(after) {
		ts.Fatalf("the error does not say what to do")
	}
	for _, fault := range []string{"panic:", "goroutine ", "context canceled", "%!"} {
		if strings.Contains(said, fault) {
			ts.Fatalf("%q is in the error", fault)
		}
	}
}

// checkJSON checks that a file is one JSON value.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "json FILE")
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
}

// checkLines checks that each line of a file is an event, and that these kinds
// of events are among them.
func checkLines(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "jsonlines FILE EVENT...")
	var seen []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Event == "" {
			ts.Fatalf("no event: %s(%v)", line, err)
		}
		seen = append(seen, e.Event)
	}
	for _, want := range args[1:] {
		if !slices.Contains(seen, want) {
			ts.Fatalf("no event %q among %v", want, seen)
		}
	}
}

// noFiles checks that a folder holds no files, or is not there.
func noFiles(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "nofiles FOLDER")
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			ts.Fatalf("%s was left behind", path)
		}
		return err
	})
	if !errors.Is(err, fs.ErrNotExist) {
		ts.Check(err)
	}
}

// tmpfs mounts a small file system of its own on a new folder.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "tmpfs FOLDER SIZE")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { unix.Unmount(dir, unix.MNT_DETACH) })
}

// ownCache gives the script an empty cache, but for the package lists: these
// are the user's, and take no space in it.
func ownCache(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "owncache FOLDER")
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	lists, err := filepath.Glob(filepath.Join(ts.Getenv(store.DirEnv), "apt-*"))
	ts.Check(err)
	for _, from := range lists {
		ts.Check(os.Symlink(from, filepath.Join(dir, filepath.Base(from))))
	}
	ts.Setenv(store.DirEnv, dir)
}

// fixture puts an app of the tests into the working folder.
func fixture(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1 && args[0] == "server", "fixture server")
	from, err := server()
	ts.Check(err)
	in, err := os.Open(from)
	ts.Check(err)
	defer in.Close()
	out, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	ts.Check(err)
	_, err = io.Copy(out, in)
	ts.Check(errors.Join(err, out.Close()))
}
