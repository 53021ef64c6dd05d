package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// hostsFile is what init writes; it stands in for /etc/hosts.
const hostsFile = "/run/hosts"

// nameHost sets the host name and makes it resolve, without which Java's
// InetAddress.getLocalHost throws. The tree may be read-only, so the file is
// laid over /etc/hosts; a tree without one, or with a link into /run, is left
// as it is.
func nameHost(name string) error {
	if name == "" {
		name = "localhost"
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting host name %q: %w", name, err)
	}
	st, err := os.Lstat("/etc/hosts")
	regular := err == nil && st.Mode().IsRegular()
	var own []byte
	if regular {
		if own, err = os.ReadFile("/etc/hosts"); err != nil {
			return fmt.Errorf("reading the tree's hosts: %w", err)
		}
	}
	if err := os.WriteFile(hostsFile, []byte(hosts(name, string(own))), 0o644); err != nil {
		return fmt.Errorf("writing hosts: %w", err)
	}
	if !regular {
		return nil
	}
	if err := unix.Mount(hostsFile, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("laying %s over /etc/hosts: %w", hostsFile, err)
	}
	return nil
}

// hosts returns the text of the file: the machine's own names, then the lines
// that the tree has. The address of the name is not one of the network, which
// may not be there yet.
func hosts(name, own string) string {
	var b strings.Builder
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	if name != "localhost" {
		b.WriteString("127.0.1.1\t" + name)
		if short, _, dotted := strings.Cut(name, "."); dotted {
			b.WriteString(" " + short)
		}
		b.WriteString("\n")
	}
	b.WriteString(own)
	if own != "" && !strings.HasSuffix(own, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}
