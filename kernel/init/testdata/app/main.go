// Command app is the app of the test guests: it serves HTTP on port 80 and
// tells what it sees of its own process.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Report is what GET / answers.
type Report struct {
	UID, GID  int
	Groups    []int
	Dir       string
	Env       []string
	Status    map[string]string // of /proc/self/status
	Limits    string
	Hosts     []string // the addresses of the own host name
	Hostname  string
	Resolver  string
	Session   int
	PID       int
	Mounts    string
	Init      string // /proc/1/status
	Zombies   int
	Note      string // that an earlier boot left in /data
	DataError string
	Answers   string // the OVF environment
}

func main() {
	if len(os.Args) > 1 {
		act(os.Args[1:])
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		fmt.Println("app: stopping")
		os.Exit(0)
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(report())
	})
	http.HandleFunc("/exit", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		os.Exit(code)
	})
	http.HandleFunc("/kill", func(w http.ResponseWriter, r *http.Request) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	http.HandleFunc("/orphan", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, exec.Command("/app", "orphan").Run())
	})
	(&records{files: map[string]*record{}}).handle()
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		fmt.Println("app:", err)
		os.Exit(9)
	}
	fmt.Println("app: listening")
	_ = http.Serve(l, nil)
}

// act is for the guests whose app does not serve.
func act(args []string) {
	switch args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		os.Exit(code)
	case "orphan": // leaves a child behind that ends a little later
		_ = exec.Command("/app", "nap").Start()
		os.Exit(0)
	case "nap":
		time.Sleep(200 * time.Millisecond)
		os.Exit(0)
	case "order": // tells PID 1 through one of init's other names
		fmt.Println("app: ordered", exec.Command(args[1]).Run())
		time.Sleep(time.Hour)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("app: listening")
		time.Sleep(time.Hour)
	}
}

func report() Report {
	r := Report{UID: os.Getuid(), GID: os.Getgid(), Env: os.Environ(), PID: os.Getpid(), Status: map[string]string{}}
	r.Groups, _ = os.Getgroups()
	r.Dir, _ = os.Getwd()
	r.Hostname, _ = os.Hostname()
	r.Hosts, _ = net.LookupHost(r.Hostname)
	r.Limits = read("/proc/self/limits")
	r.Resolver = read("/etc/resolv.conf")
	r.Mounts = read("/proc/mounts")
	r.Init = read("/proc/1/status")
	for line := range strings.Lines(read("/proc/self/status")) {
		key, value, _ := strings.Cut(line, ":")
		r.Status[key] = strings.TrimSpace(value)
	}
	fields := strings.Fields(read("/proc/self/stat"))
	if len(fields) > 5 {
		r.Session, _ = strconv.Atoi(fields[5])
	}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if strings.Contains(read("/proc/"+e.Name()+"/status"), "State:\tZ") {
			r.Zombies++
		}
	}
	r.Note = read("/data/note")
	r.Answers = read("/run/ovf-env.xml")
	if err := keep("/data/note", r.Hostname); err != nil {
		r.DataError = err.Error()
	}
	return r
}

func read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// keep writes a file that outlasts a power cut.
func keep(path, text string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Sync()
}
