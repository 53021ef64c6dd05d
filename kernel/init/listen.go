package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// socketTables are the kernel's tables of TCP sockets.
var socketTables = [...]string{"/proc/net/tcp", "/proc/net/tcp6"}

// The rhythm in which watchPorts looks: a sixteenth of the time since its
// start, so that it notices the first port with that precision and hardly
// ever wakes a guest that has been up for long.
const (
	firstLook    = 20 * time.Millisecond
	lastLook     = time.Minute
	lookFraction = 16
)

// ports tells on the console which TCP ports the guest listens on.
type ports struct {
	console *console
	told    []int
}

// maxTold bounds how many ports are told: an app that opens one after the
// other must not fill the console.
const maxTold = 256

// watch looks for new ports until done is closed, and then once more.
func (p *ports) watch(done <-chan struct{}) {
	started := time.Now()
	for {
		select {
		case <-done:
			p.look()
			return
		case <-time.After(min(lastLook, max(firstLook, time.Since(started)/lookFraction))):
			p.look()
		}
	}
}

// look tells of ports that were not told before.
func (p *ports) look() {
	var open []int
	for _, table := range socketTables {
		text, err := os.ReadFile(table)
		if err == nil { // a kernel may be without IPv6
			open = append(open, listening(text)...)
		}
	}
	slices.Sort(open)
	open = slices.Compact(open)
	news := false
	var words []string
	for _, port := range open {
		words = append(words, strconv.Itoa(port))
		if !slices.Contains(p.told, port) && len(p.told) < maxTold {
			p.told = append(p.told, port)
			news = true
		}
	}
	if news {
		p.console.line(config.LineListening, "%s at %.3f", strings.Join(words, " "), uptime())
	}
}

// stateListen is a socket that listens (include/net/tcp_states.h, TCP_LISTEN).
const stateListen = "0A"

// listening returns the ports of a table that listen on more than the loopback
// (Documentation/networking/proc_net_tcp.rst): the second column is the local
// address and the port, the fourth the state.
func listening(table []byte) []int {
	var open []int
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		address, port, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		if err == nil && !loopback(address) {
			open = append(open, int(n))
		}
	}
	return open
}

// loopback reports whether an address, written in hexadecimal as little-endian
// words of 32 bits, is one of 127.0.0.0/8 or ::1.
func loopback(address string) bool {
	b, err := hex.DecodeString(address)
	if err != nil {
		return false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	if len(b) == 16 {
		if !slices.Equal(b[:12], []byte{10: 0xff, 11: 0xff}) {
			return slices.Equal(b, []byte{15: 1})
		}
		b = b[12:] // an IPv4 address as one of IPv6
	}
	return len(b) == 4 && b[0] == 127
}
