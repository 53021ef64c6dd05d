package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// guestEnv names a guest program that is built already.
const guestEnv = "IMGBUILD_TEST_GUEST"

func TestMain(m *testing.M) {
	if HelperMain(os.Args) {
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv(guestEnv) == "" {
		dir, err := os.MkdirTemp("", "sandbox-test-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		guest := filepath.Join(dir, "guest")
		cmd := exec.Command("go", "build", "-o", guest, "./testdata/guest")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("building the guest: %v\n%s", err, out))
		}
		os.Chmod(dir, 0o755)
		os.Setenv(guestEnv, guest)
	}
	return m.Run()
}

// need skips the test when a program is not installed; never in CI.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", program, pkg)
	}
	t.Skipf("%s is missing: install the package %s", program, pkg)
}

// both runs a test in each sandbox.
func both(t *testing.T, f func(t *testing.T, box Sandbox)) {
	t.Run("bubblewrap", func(t *testing.T) {
		need(t, "bwrap", "bubblewrap")
		box, err := findBubblewrap()
		if err != nil {
			t.Fatal(err)
		}
		if err := probe(t.Context(), box); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("user namespaces are not allowed here: ", err)
		}
		f(t, box)
	})
	t.Run("proot", func(t *testing.T) {
		need(t, "proot", "proot")
		box, err := findProot()
		if err != nil {
			t.Fatal(err)
		}
		f(t, box)
	})
}

// newRoot makes a folder that can be a root, with the guest program, a file and a link.
func newRoot(t *testing.T) string {
	t.Helper()
	// Not below /tmp, where proot itself must be able to write.
	root, err := os.MkdirTemp("/var/tmp", "sandbox-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	data, err := os.ReadFile(os.Getenv(guestEnv))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]struct {
		data []byte
		mode os.FileMode
	}{"bin/guest": {data, 0o755}, "etc/file": {[]byte("as it was\n"), 0o644}} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.data, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("bin/guest", filepath.Join(root, "init")); err != nil {
		t.Fatal(err)
	}
	return root
}

func guest(root string, args ...string) Command {
	return Command{Root: root, Args: append([]string{"/bin/guest"}, args...)}
}

func output(t *testing.T, box Sandbox, c Command) string {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := Run(t.Context(), box, c); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

func TestFind(t *testing.T) {
	box, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(box.Name())
}

func TestSee(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		for _, id := range []int{0, 10001} {
			c := guest(newRoot(t), "see")
			c.Args[0] = "/init"
			c.UID, c.GID, c.Dir = id, id, "/etc"
			c.Env = []string{"A=1", "B=x=y z"}
			got := strings.Split(output(t, box, c), "\n")
			want := fmt.Sprintf("uid %d gid %d dir /etc host ", id, id)
			if !strings.HasPrefix(got[0], want) {
				t.Errorf("got %q, want %q", got[0], want)
			}
			if !strings.HasPrefix(got[2], "env A=1 B=x=y z") {
				t.Errorf("got %q", got[2])
			}
			if box.Name() == "bubblewrap" {
				if d := cmp.Diff("root bin dev etc init proc run tmp", got[1]); d != "" {
					t.Error(d)
				}
				if !strings.HasSuffix(got[0], "host localhost") {
					t.Errorf("got %q", got[0])
				}
			}
		}
	})
}

func TestBinds(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		root, out := newRoot(t), newRoot(t)
		readable := filepath.Join(newRoot(t), "etc/file")
		for _, tt := range []struct {
			path string
			ok   bool
		}{
			{"/out/new", true}, {"/memory/new", true}, {"/tmp/new", true}, {"/run/new", true},
			{"/etc/file", false}, {"/etc/new", false}, {"/ro", false}, {"/new", false},
		} {
			c := guest(root, "write", tt.path)
			c.Binds = []Bind{{Source: out, Target: "/out", Write: true}, {Target: "/memory", Tmpfs: true},
				{Source: readable, Target: "/ro"}}
			err := Run(t.Context(), box, c)
			var exit *ExitError
			if tt.ok && err != nil || !tt.ok && !errors.As(err, &exit) {
				t.Errorf("writing %s: %v", tt.path, err)
			}
		}
		for path, want := range map[string]string{filepath.Join(out, "new"): "written\n", filepath.Join(root, "etc/file"): "as it was\n"} {
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
			}
		}
	})
}

// TestHostname asks for the address of the host, as Java's getLocalHost does.
func TestHostname(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		c := guest(newRoot(t), "address")
		c.Hostname, c.Env = "shop", []string{"WANT=shop"}
		if err := os.WriteFile(filepath.Join(c.Root, "etc/hosts"), []byte("127.0.0.1 localhost\n127.0.1.1 shop"), 0o644); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%t [127.0.1.1]\n", box.Name() == "bubblewrap")
		if d := cmp.Diff(want, output(t, box, c)); d != "" {
			t.Error(d)
		}
	})
}

func TestOneCPU(t *testing.T) {
	all := runtime.NumCPU()
	if all == 1 {
		t.Skip("the machine has one processor")
	}
	both(t, func(t *testing.T, box Sandbox) {
		for _, cpu := range []int{0, 1, all, all + 1} {
			c := guest(newRoot(t), "cpus")
			c.CPU = cpu
			want := all
			if cpu > 0 {
				want = 1
			}
			if got := output(t, box, c); got != fmt.Sprintln(want) {
				t.Errorf("processor %d: the program sees %s", cpu, got)
			}
		}
	})
}

// TestInterfaces asks for the addresses of the network, as Java does.
func TestInterfaces(t *testing.T) {
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		t.Skip("the machine's kernel has no IPv6")
	}
	both(t, func(t *testing.T, box Sandbox) {
		got := strings.Fields(output(t, box, guest(newRoot(t), "inet6")))
		want := strings.Fields("00000000000000000000000000000001 01 80 10 80 lo")
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// TestForeign asks for a file that the machine has and the root has not.
func TestForeign(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		err := Run(t.Context(), box, guest(newRoot(t), "statx", filepath.Join(newRoot(t), "etc/file")))
		var exit *ExitError
		if !errors.As(err, &exit) {
			t.Errorf("the program sees a file of the machine: %v", err)
		}
	})
}

func TestErrors(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		root := newRoot(t)
		killed := map[string]string{"bubblewrap": "exit status 137", "proot": "exit status 255"}
		for _, tt := range []struct {
			name, want string
			c          Command
		}{
			{"status", "exit status 3", guest(root, "nothing")},
			{"signal", killed[box.Name()], guest(root, "raise")},
			{"no program", "/bin/none", Command{Root: root, Args: []string{"/bin/none"}}},
			{"relative program", "not an absolute path", Command{Root: root, Args: []string{"guest"}}},
			{"no root", "is not a folder", Command{Root: root + "/none", Args: []string{"/bin/guest"}}},
			{"no source", "no such file", Command{Root: root, Args: []string{"/bin/guest"}, Binds: []Bind{{Source: root + "/none", Target: "/x"}}}},
			{"bind at the root", "is no place for a bind", Command{Root: root, Args: []string{"/bin/guest"}, Binds: []Bind{{Source: root, Target: "/"}}}},
			{"environment", "is not a setting", Command{Root: root, Args: []string{"/bin/guest"}, Env: []string{"A"}}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				var log bytes.Buffer
				tt.c.Stdout, tt.c.Stderr = &log, &log
				err := Run(t.Context(), box, tt.c)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q\n%s", err, tt.want, log.String())
				}
			})
		}
	})
}

// TestNetwork tries to leave the sandbox for a server on the machine.
func TestNetwork(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		reached := make(chan struct{}, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
				reached <- struct{}{}
			}
		}()
		root := newRoot(t)
		for _, args := range [][]string{
			{"connect", "tcp", l.Addr().String()},
			{"connect", "tcp", "192.0.2.1:80"},
			{"connect", "udp", "192.0.2.1:53"},
		} {
			var exit *ExitError
			if err := Run(t.Context(), box, guest(root, args...)); !errors.As(err, &exit) {
				t.Errorf("%v: error %v, want a refusal", args, err)
			}
		}
		if box.Name() == "proot" {
			var exit *ExitError
			if err := Run(t.Context(), box, guest(root, "send")); !errors.As(err, &exit) {
				t.Errorf("send: error %v, want a refusal", err)
			}
		}
		select {
		case <-reached:
			t.Error("the program reached a server outside")
		default:
		}
	})
}

func TestDial(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		r, w := io.Pipe()
		c := guest(newRoot(t), "serve", "127.0.0.1:0")
		c.Stdout, c.Stderr = w, os.Stderr
		p, err := box.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		go func() { p.Wait(); w.Close() }()
		lines := bufio.NewScanner(r)
		lines.Scan()
		addr, ok := strings.CutPrefix(lines.Text(), "serving on ")
		if !ok {
			t.Fatalf("the guest said %q", lines.Text())
		}
		client := &http.Client{Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true}}
		resp, err := client.Get("http://" + addr + "/path")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "hello /path" {
			t.Errorf("got %q, %v", body, err)
		}
		if box.Name() == "bubblewrap" {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				t.Error("the port is open outside")
			}
		}
		if _, err := p.Dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("dialling a closed port: %v", err)
		}
		if err := p.Signal(); err != nil {
			t.Fatal(err)
		}
		lines.Scan()
		if lines.Text() != "stopped" {
			t.Errorf("after SIGTERM the guest said %q", lines.Text())
		}
		if err := p.Wait(); err != nil {
			t.Errorf("the guest ended with %v", err)
		}
		if _, err := p.Dial(t.Context(), "tcp", addr); err == nil {
			t.Error("dialled into a sandbox that has ended")
		}
		if err := p.Signal(); err != nil {
			t.Errorf("signalling after the end: %v", err)
		}
	})
}

// TestKill makes sure that nothing is left of a tree of processes that ignore
// SIGTERM and left their session.
func TestKill(t *testing.T) {
	both(t, func(t *testing.T, box Sandbox) {
		mark := fmt.Sprintf("mark-%d-%s", os.Getpid(), box.Name())
		started := func(ctx context.Context, c Command) *Process {
			r, w := io.Pipe()
			c.Stdout, c.Stderr = w, os.Stderr
			p, err := box.Start(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			if c.Timeout == 0 {
				if line, err := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
					t.Fatalf("the guest said %q, %v", line, err)
				}
			}
			go io.Copy(io.Discard, r)
			return p
		}
		root := newRoot(t)
		t.Run("cancel", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			p := started(ctx, guest(root, "tree", mark))
			if len(marked(t, mark)) < 3 {
				t.Fatalf("processes: %v", marked(t, mark))
			}
			cancel()
			if err := p.Wait(); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			gone(t, mark)
		})
		t.Run("timeout", func(t *testing.T) {
			c := guest(root, "tree", mark)
			c.Timeout = 500 * time.Millisecond
			err := started(t.Context(), c).Wait()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "did not end within 500ms") {
				t.Errorf("error %v", err)
			}
			gone(t, mark)
		})
		t.Run("kill", func(t *testing.T) {
			p := started(t.Context(), guest(root, "tree", mark))
			p.Kill()
			var exit *ExitError
			if err := p.Wait(); !errors.As(err, &exit) {
				t.Errorf("error %v", err)
			}
			gone(t, mark)
		})
	})
}

// marked lists the processes, zombies too, that have an argument which begins
// with mark, or that are children of ours.
func marked(t *testing.T, mark string) (found []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte("\x00"+mark)) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

// gone waits for the kernel to finish what it has been told to end.
func gone(t *testing.T, mark string) {
	t.Helper()
	for range 500 {
		if len(marked(t, mark)) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("left behind: %v", marked(t, mark))
}

// TestAsNobody runs the other tests again without privileges.
func TestAsNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("runs all tests a second time")
	}
	if os.Getuid() != 0 {
		t.Skip("this user has no privileges to give up")
	}
	need(t, "setpriv", "util-linux")
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "sandbox.test")
	if out, err := exec.Command("install", "-m", "755", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
		copied, "-test.run", "^Test(Find|See|Binds|Errors|Network|Dial|Kill)$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestDial/bubblewrap")) && !bytes.Contains(out, []byte("--- SKIP: TestDial/bubblewrap")) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
