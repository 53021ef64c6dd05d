package main

import "strings"

// cmdline is the kernel command line, argument by argument.
type cmdline []string

// parseCmdline splits at white space outside double quotes, as the kernel
// does; the quotes go.
func parseCmdline(s string) cmdline {
	var args cmdline
	var arg strings.Builder
	quoted, begun := false, false
	for _, c := range []byte(s) {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				args = append(args, arg.String())
				arg.Reset()
			}
			begun = false
		default:
			arg.WriteByte(c)
			begun = true
		}
	}
	if begun {
		args = append(args, arg.String())
	}
	return args
}

// has reports whether the bare word stands on the line.
func (c cmdline) has(word string) bool {
	for _, arg := range c {
		if arg == word {
			return true
		}
	}
	return false
}

// all returns the values of every key=value with that key, in order.
func (c cmdline) all(key string) []string {
	var values []string
	for _, arg := range c {
		if k, v, ok := strings.Cut(arg, "="); ok && k == key {
			values = append(values, v)
		}
	}
	return values
}

// last returns the value that counts when a key is given several times, and
// "" when it is not given.
func (c cmdline) last(key string) string {
	if values := c.all(key); len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// consoles returns the devices of all console= arguments, each once.
func (c cmdline) consoles() []string {
	var devices []string
	seen := make(map[string]bool)
	for _, v := range c.all("console") {
		name, _, _ := strings.Cut(v, ",")
		if name == "" || strings.Contains(name, "/") || seen[name] {
			continue
		}
		seen[name] = true
		devices = append(devices, "/dev/"+name)
	}
	return devices
}
