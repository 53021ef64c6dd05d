package secret_test

import (
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// TestWeigh holds findings in manuals and in programs to less than those
// elsewhere, and no others.
func TestWeigh(t *testing.T) {
	rules, err := secret.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s := secret.NewSet(rules)
	for _, c := range []struct {
		id      string
		path    string
		program bool
		want    secret.Severity
	}{
		{"wireguard-key", "/usr/share/man/de/man5/systemd.netdev.5.gz", false, secret.Low},
		{"wireguard-key", "/share/man/man5/systemd.netdev.5.gz", false, secret.Low},
		{"private-key", "/usr/share/doc/x/examples/key.pem", false, secret.Low},
		{"private-key-der", "/usr/local/share/doc/x/key.der", false, secret.Low},
		{"private-key", "/usr/lib/libgnutls.so.30", true, secret.Medium},
		{"private-key", "/usr/lib/libgnutls.so.30", false, secret.High},
		{"wireguard-key", "/usr/bin/wg", true, secret.High},
		{"private-key", "/srv/share/documents/key.pem", false, secret.High},
		{"private-key", "/home/share/key.pem", false, secret.High},
		{"git-credentials", "/usr/share/doc/.git-credentials", false, secret.High},
		{"no-such-rule", "/usr/share/doc/x", false, secret.High},
	} {
		got, note := s.Weigh(c.id, secret.High, c.path, c.program)
		if got != c.want || (note != "") != (got < secret.High) {
			t.Errorf("%s in %s: %v %q, not %v", c.id, c.path, got, note, c.want)
		}
	}
}
