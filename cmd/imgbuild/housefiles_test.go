package main

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where packages come from is for the machine that builds to say, and where a
// checkout lies is nobody's business. The brackets keep this file from naming
// what it forbids.
var (
	packageHosts = regexp.MustCompile(`\b(deb|security|snapshot|archive)[.](debian|ubuntu)[.](org|com)\b|` +
		`\b(proxy|sum)[.]golang[.]org\b|\bcdn[.]kernel[.]org\b|\brepo1?[.]maven[.]|\b(pypi|registry[.]npmjs)[.]org\b|\bdl-cdn[.]`)
	checkoutPath = regexp.MustCompile(`(^|[^\w.$}/-])[/]work[/]\w`)
)

// machineHosts are the hosts that this machine gets its packages from.
func machineHosts(t *testing.T) []string {
	t.Helper()
	text, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Logf("not looked at: %v", err)
			}
			text = append(text, '\n')
			text = append(text, b...)
		}
	}
	var hosts []string
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" \t\n,|", r) }) {
		if u, err := url.Parse(word); err == nil && strings.Contains(u.Hostname(), ".") && !strings.HasPrefix(u.Hostname(), "127.") {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// TestNoHostsNoPaths reads every file of the repository.
func TestNoHostsNoPaths(t *testing.T) {
	hosts := machineHosts(t)
	for _, name := range repositoryFiles(t) {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			continue // removed, but not yet from the index
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue
		}
		for _, forbidden := range []*regexp.Regexp{packageHosts, checkoutPath} {
			if found := forbidden.Find(text); found != nil {
				t.Errorf("%s holds %q", name, found)
			}
		}
		for _, host := range hosts {
			if bytes.Contains(text, []byte(host)) {
				t.Errorf("%s names %s", name, host)
			}
		}
	}
}

// repositoryFiles lists the files that are, or are about to be, in the
// repository. Without git there is no telling.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("listing the files: %v", err)
		}
		t.Skipf("apt-get install git: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}
