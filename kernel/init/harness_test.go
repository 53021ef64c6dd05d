package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// bootPatience bounds what a guest may take for one step, so that a test ends.
// It is generous: the guests are emulated, on machines that do other work.
const bootPatience = 4 * time.Minute

// need skips the test when a program is not there; in CI that is a failure.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed (Debian package %s)", program, debian)
		}
		t.Skipf("%s is not installed (Debian package %s)", program, debian)
	}
	return path
}

// testKernel returns the kernel that the guests boot.
func testKernel(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a guest")
	}
	path := os.Getenv("IMGBUILD_TEST_KERNEL")
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatal("IMGBUILD_TEST_KERNEL names no kernel: make test sets it")
	}
	if path == "" {
		t.Skip("IMGBUILD_TEST_KERNEL names no kernel")
	}
	need(t, "qemu-system-x86_64", "qemu-system-x86")
	return path
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

var programs struct {
	sync.Once
	dir string
	err error
}

// built returns the folder with init and the test app, built once.
func built(t *testing.T) string {
	t.Helper()
	programs.Do(func() {
		programs.dir, programs.err = os.MkdirTemp("", "init-test-")
		for name, pkg := range map[string]string{"init": ".", "app": "./testdata/app"} {
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", filepath.Join(programs.dir, name), pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				programs.err = errors.Join(programs.err, fmt.Errorf("%w\n%s", err, out))
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// serving is a guest whose app serves, by DHCP, until it is told to stop.
func serving() config.Guest {
	return config.Guest{
		Hostname:    "tester.example",
		App:         config.App{Command: []string{"/app"}, Dir: "/tmp", UID: 1000, GID: 1000, Env: []string{"GREETING=hello", "LANG=C"}},
		Network:     config.Network{Mode: "dhcp"},
		Restart:     "never",
		OnExit:      "poweroff",
		StopTimeout: 10,
	}
}

// tree makes the guest's root as a folder.
func tree(t *testing.T, g config.Guest) string {
	t.Helper()
	testKernel(t) // skips before anything is built
	dir := t.TempDir()
	for _, sub := range []string{"proc", "sys", "dev", "tmp", "run", "data", "sbin", "etc/imgbuild"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, name := range []string{"init", "app"} {
		must(t, os.Link(filepath.Join(built(t), name), filepath.Join(dir, name)))
	}
	for _, name := range []string{"poweroff", "reboot", "halt"} {
		must(t, os.Symlink("/init", filepath.Join(dir, "sbin", name)))
	}
	must(t, os.Symlink("/run/resolv.conf", filepath.Join(dir, "etc/resolv.conf")))
	text, err := json.Marshal(g)
	must(t, err)
	for name, content := range map[string]string{
		"etc/passwd":    "root:x:0:0::/:\napp:x:1000:1000::/data:\n",
		"etc/hosts":     "192.0.2.7 printer\n",
		config.Path[1:]: string(text),
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// erofs packs a tree into a disk image without partitions.
func erofs(t *testing.T, dir string) string {
	t.Helper()
	need(t, "mkfs.erofs", "erofs-utils")
	image := filepath.Join(t.TempDir(), "root.erofs")
	run(t, "", "mkfs.erofs", "--all-root", image, dir)
	return image
}

// machine is a running guest.
type machine struct {
	t     *testing.T
	port  int // on the host, for the guest's port 80
	qmp   string
	lines chan string
	seen  []string
	cmd   *exec.Cmd
}

// options change the usual machine.
type options struct {
	kernel  string // instead of the test kernel
	memory  string // MiB
	cmdline string // instead of the usual
	initrd  string
	nic     bool     // with user networking; false: no network device
	guest   string   // the address that the guest will have; by default what DHCP gives
	args    []string // more for QEMU
}

const rootCmdline = "console=ttyS0 quiet panic=-1 ro root=/dev/vda rootfstype=erofs init=/init"

// start boots a disk.
func start(t *testing.T, disk string, o options) *machine {
	t.Helper()
	m := &machine{t: t, port: freePort(t), qmp: filepath.Join(t.TempDir(), "qmp"), lines: make(chan string, 10000)}
	if o.memory == "" {
		o.memory = "128"
	}
	if o.cmdline == "" {
		o.cmdline = rootCmdline
	}
	if o.kernel == "" {
		o.kernel = testKernel(t)
	}
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35", "-m", o.memory,
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-qmp", "unix:" + m.qmp + ",server=on,wait=off",
		"-kernel", o.kernel, "-append", o.cmdline,
		"-drive", "file=" + disk + ",if=none,id=d0,format=raw", "-device", "virtio-blk-pci,drive=d0"}
	if o.initrd != "" {
		args = append(args, "-initrd", o.initrd)
	}
	if o.nic {
		args = append(args, "-netdev", fmt.Sprintf("user,id=n0,hostfwd=tcp:127.0.0.1:%d-%s:80", m.port, o.guest),
			"-device", "virtio-net-pci,netdev=n0,romfile=")
	}
	m.cmd = exec.Command("qemu-system-x86_64", append(args, o.args...)...)
	out, err := m.cmd.StdoutPipe()
	must(t, err)
	var complaints bytes.Buffer
	m.cmd.Stderr = &complaints
	must(t, m.cmd.Start())
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		if t.Failed() {
			t.Logf("console:\n%s\nqemu: %s", strings.Join(m.seen, "\n"), complaints.String())
		}
	})
	go func() {
		defer close(m.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			m.lines <- strings.TrimRight(scan.Text(), "\r")
		}
	}()
	return m
}

// expect reads the console up to a line with that text and returns it.
func (m *machine) expect(text string) string {
	m.t.Helper()
	timeout := time.After(bootPatience)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				m.t.Fatalf("the guest ended without %q", text)
			}
			m.seen = append(m.seen, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			m.t.Fatalf("no line with %q in %v", text, bootPatience)
		}
	}
}

// ended waits until the machine is off.
func (m *machine) ended() {
	m.t.Helper()
	timeout := time.After(bootPatience)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				return
			}
			m.seen = append(m.seen, line)
		case <-timeout:
			m.t.Fatalf("the guest did not end in %v", bootPatience)
		}
	}
}

// get asks the app.
func (m *machine) get(path string) ([]byte, error) {
	client := http.Client{Timeout: time.Minute}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", m.port, path))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// press does what the power button does.
func (m *machine) press() {
	m.t.Helper()
	c, err := net.Dial("unix", m.qmp)
	must(m.t, err)
	defer c.Close()
	answers := json.NewDecoder(c)
	var greeting, answer struct{ Error any }
	must(m.t, answers.Decode(&greeting))
	for _, order := range []string{"qmp_capabilities", "system_powerdown"} {
		_, err := fmt.Fprintf(c, `{"execute":%q}`, order)
		must(m.t, err)
		must(m.t, answers.Decode(&answer))
		if answer.Error != nil {
			m.t.Fatalf("%s: %v", order, answer.Error)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
