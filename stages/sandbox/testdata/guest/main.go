// Command guest is what the tests run in a sandbox: a static program that
// tells what it sees.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func run(verb string, args []string) error {
	switch verb {
	case "see":
		return see()
	case "write":
		return os.WriteFile(args[0], []byte("written\n"), 0o644)
	case "address":
		return address()
	case "cpus":
		fmt.Println(runtime.NumCPU())
		return nil
	case "inet6":
		text, err := os.ReadFile("/proc/net/if_inet6")
		fmt.Print(string(text))
		return err
	case "statx":
		return unix.Statx(unix.AT_FDCWD, args[0], 0, unix.STATX_TYPE, new(unix.Statx_t))
	case "connect":
		c, err := net.DialTimeout(args[0], args[1], 2*time.Second)
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		return err
	case "send":
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		_, err = c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
		return err
	case "serve":
		return serve(args[0])
	case "tree":
		return tree(args[0])
	case "raise":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return fmt.Errorf("unknown verb %s", verb)
}

func see() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	env := os.Environ()
	sort.Strings(env)
	fmt.Printf("uid %d gid %d dir %s host %s\n", os.Getuid(), os.Getgid(), dir, host)
	fmt.Printf("root %s\n", strings.Join(names, " "))
	fmt.Printf("env %s\n", strings.Join(env, " "))
	return nil
}

// address tells the address that the root has for the program's host name.
func address() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	addresses, err := net.LookupHost(host)
	fmt.Println(host == os.Getenv("WANT"), addresses)
	return err
}

// serve answers by HTTP until SIGTERM, which it tells.
func serve(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello ", r.URL.Path) }))
	fmt.Println("serving on", l.Addr())
	<-stop
	fmt.Println("stopped")
	return nil
}

// tree starts two generations of children, in sessions of their own, that
// ignore SIGTERM, marked by an argument.
func tree(mark string) error {
	signal.Ignore(syscall.SIGTERM)
	if depth := strings.Count(mark, "+"); depth < 2 {
		cmd := exec.Command("/proc/self/exe", "tree", mark+"+")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout = os.Stdout
		if err := cmd.Start(); err != nil {
			return err
		}
	} else {
		fmt.Println("ready")
	}
	time.Sleep(time.Hour)
	return nil
}
