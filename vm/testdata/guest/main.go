// Guest is the init of the machines in the tests of package vm. It speaks the
// contract of kernel/init/config and does what its word on the kernel command
// line says: guest=serve, exit, halt, hang; else it returns, which
// makes the kernel panic.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

func main() {
	if os.Getpid() != 1 { // as /sbin/poweroff, which the kernel runs for Xen
		must(syscall.Kill(1, syscall.SIGUSR2))
		return
	}
	must(os.MkdirAll("/proc", 0o755))
	must(syscall.Mount("proc", "/proc", "proc", 0, ""))
	must(os.MkdirAll("/dev", 0o755))
	must(syscall.Mount("dev", "/dev", "devtmpfs", 0, ""))
	say(config.LineUp, clock())
	cmdline, err := os.ReadFile("/proc/cmdline")
	must(err)
	_, mode, _ := strings.Cut(string(cmdline), "guest=")
	switch strings.Fields(mode + " none")[0] {
	case "serve":
		serve()
	case "exit":
		say(config.LineStarted, "pid 1 at "+clock())
		fmt.Print("the last word of the app, unended")
		say(config.LineExited, "status 3")
		off()
	case "halt":
		say(config.LineFailed, "mounting /data: no such device")
		say("halt", "")
		time.Sleep(time.Hour)
	case "hang":
		say(config.LineStarted, "pid 1 at "+clock())
		time.Sleep(time.Hour)
	}
}

// serve answers until the power button is pressed, or Xen asks for the end.
func serve() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	say(config.LineNetwork, "eth0")
	listener, err := net.Listen("tcp", ":7")
	must(err)
	go echo(listener)
	var visitors atomic.Int64
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from the guest, visitor", visitors.Add(1))
	})
	http.HandleFunc("/teapot", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	say(config.LineStarted, "pid 1 at "+clock())
	time.Sleep(300 * time.Millisecond) // accepted by the host, refused by the guest
	web, err := net.Listen("tcp", ":8080")
	must(err)
	go func() { must(http.Serve(web, nil)) }()
	say(config.LineListening, "7 8080 at "+clock())
	fmt.Println("ready to serve")
	select {
	case <-button():
	case <-asked:
	}
	say(config.LineListening, "7 22 8080 at "+clock())
	say(config.LineStopping, "power button")
	off()
}

func echo(l net.Listener) {
	for {
		conn, err := l.Accept()
		must(err)
		go func() {
			defer conn.Close()
			io.Copy(conn, conn)
		}()
	}
}

// button reads events of linux/input.h; when KEY_POWER goes down, it sends.
func button() <-chan bool {
	const evKey, keyPower = 1, 116
	devices, err := filepath.Glob("/dev/input/event*")
	must(err)
	pressed := make(chan bool)
	for _, name := range devices {
		f, err := os.Open(name)
		must(err)
		go func() {
			var e struct {
				Time       [2]int64
				Type, Code uint16
				Value      int32
			}
			for binary.Read(f, binary.LittleEndian, &e) == nil {
				if e.Type == evKey && e.Code == keyPower && e.Value == 1 {
					pressed <- true
				}
			}
		}()
	}
	return pressed
}

func off() {
	say(config.LinePoweroff, "")
	must(syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
}

func say(word, rest string) {
	fmt.Println(strings.TrimSpace(config.Prefix + word + " " + rest))
}

// clock is the kernel's, in seconds.
func clock() string {
	b, err := os.ReadFile("/proc/uptime")
	must(err)
	return strings.Fields(string(b))[0]
}

func must(err error) {
	if err != nil {
		say(config.LineFailed, err.Error())
		os.Exit(1)
	}
}
