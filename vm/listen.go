package vm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxPorts bounds how many ports of a guest are kept.
const maxPorts = 1024

// listening takes init's line of open ports: "8080 9990 at 1.934".
func (s *story) listening(rest string, at Moment) {
	ports, clock, _ := strings.Cut(rest, " at ")
	for _, f := range strings.Fields(ports) {
		p, err := strconv.ParseUint(f, 10, 16)
		if err != nil || p == 0 {
			return // not init's line after all
		}
		if !slices.Contains(s.ports, int(p)) && len(s.ports) < maxPorts {
			s.ports = append(s.ports, int(p))
		}
	}
	if s.timeline.Ready == nil {
		s.timeline.Ready, s.timeline.GuestReady = &at, seconds(clock)
	}
}

// without returns the ports of a that are not in b, in order.
func without(a, b []int) []int {
	var rest []int
	for _, p := range a {
		if !slices.Contains(b, p) {
			rest = append(rest, p)
		}
	}
	slices.Sort(rest)
	return rest
}

// portList names ports for people: "8080 and 9990".
func portList(ports []int) string {
	var words []string
	for _, p := range ports {
		words = append(words, strconv.Itoa(p))
	}
	switch n := len(words); n {
	case 0:
		return "no port"
	case 1:
		return "port " + words[0]
	default:
		return fmt.Sprintf("ports %s and %s", strings.Join(words[:n-1], ", "), words[n-1])
	}
}
