package secret_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

// builtin returns the rules by their identifiers.
func builtin(t *testing.T) map[string]*secret.Rule {
	t.Helper()
	rules, err := secret.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]*secret.Rule{}
	for i := range rules {
		byID[rules[i].ID] = &rules[i]
	}
	return byID
}

// check tries a rule wherever one of its anchors is in text.
func check(r *secret.Rule, text, path string) (secret.Match, bool) {
	v := carve.NewView(carve.Window{Data: []byte(text), End: int64(len(text))})
	for at := range len(text) {
		for _, a := range r.Anchors {
			head := text[at:min(len(text), at+len(a))]
			if head != a && !(r.Fold && strings.EqualFold(head, a)) {
				continue
			}
			v.MoveTo(int64(at))
			if m, ok := r.Check(v, path); ok {
				return m, true
			}
		}
	}
	return secret.Match{}, false
}

func keyPEM(t *testing.T) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func rsaPEM(t *testing.T) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}))
}

// abc returns n characters with much entropy that are no secret of anybody.
func abc(n int) string {
	const letters = "q7RzK2mWx9LbT4vYc8NdJ5hGf3PsQ6aZk1Xe0UwMiHoBjCtVnEgFrDlSpAyIuO"
	return strings.Repeat(letters, n/len(letters)+1)[:n]
}

// TestRules shows each rule what it is for, and what it is not for. Texts are
// put together here, so that this file holds no secret itself.
func TestRules(t *testing.T) {
	aws := "AKI" + "AQ3XEZ7MNBVCKJHGF"
	rules := builtin(t)
	for _, c := range []struct {
		rule, path, yes, no string
	}{
		{"private-key", "", keyPEM(t), "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"},
		{"private-key", "", rsaPEM(t), "-----BEGIN " + "CERTIFICATE-----\n" + abc(200)},
		{"aws-access-key", "", "key=" + aws + " ", "key=AKI" + "AIOSFODNN7EXAMPLE "},
		{"aws-secret-key", "", "aws_secret_access_key = " + abc(40) + "\n", "aws_secret_access_key = " + strings.Repeat("x", 40) + "\n"},
		{"github-token", "", "token gh" + "p_" + abc(36) + "\n", "gh" + "p_short"},
		{"gitlab-token", "", "gl" + "pat-" + abc(20), "gl" + "pat-" + strings.Repeat("a", 20)},
		{"slack-token", "", "xo" + "xb-1234567890-" + abc(24), "xo" + "xb-token"},
		{"stripe-key", "", "sk_" + "live_" + abc(24), "sk_" + "test_" + abc(24)},
		{"npm-token", "", "np" + "m_" + abc(36) + "\n", "np" + "m_config_registry"},
		{"google-api-key", "", "AI" + "za" + abc(35) + "\n", "AI" + "za"},
		{"password-hash", "", "root:$6$abcdefgh$" + abc(86) + ":19000::", "$6$abc"},
		{"netrc", "", "machine api.example.org login me password " + abc(12), "machine learning login password"},
		{"jdbc-password", "", "jdbc:postgresql://db/app?user=a&password=" + abc(10), "jdbc:postgresql://db/app"},
		{"property-password", "/app/db.properties", "db.password=" + abc(9) + "\n", "db.password=${DB_PASSWORD}\n"},
		{"property-password", "/app/application.yml", "password: " + abc(9) + "\n", "password: changeme\n"},
		{"docker-auth", "", `{"auths": {"r.example.org": {"auth": "` + abc(20) + `"}}}`, `{"auths": {}}`},
		{"kubeconfig", "", "client-key-data: " + abc(200), "client-key-data: null"},
		{"wireguard-key", "", "PrivateKey = " + abc(42) + "A=", "PrivateKey = "},
		{"gcp-service-account", "", `"private_key_id": "` + strings.Repeat("0a1b2c3d4e", 4) + `"`, `"private_key_id": ""`},
		{"url-password", "", "postgres" + "://app:" + abc(12) + "@db.internal/x", "postgres://user:password@localhost/x"},
		{"environment-secret", "", "\nexport SERVICE_TOKEN=" + abc(24) + "\n", "\nSERVICE_TOKEN=$(cat token)\nMY_TOKEN=YOUR_TOKEN_HERE\nif TOK_TOKEN=/run/token"},
		{"property-secret", "", "\ndb.password=" + abc(9) + "\n", "\nurl.password = client_secret\nself.password = options.password\n"},
		{"yaml-password", "", "\n  user: app\n  password: " + abc(12) + "\n", "\n  password: " + abc(12) + "\n"},
		{"ansible-password", "", "ansible_ssh_pass=" + abc(9), `ansible_password: "ansible_ssh_pass",`},
		{"xml-password", "", "<username>app</username><password>" + abc(9) + "</password>", "<username>proxyuser</username><password>proxypass</password>"},
		{"authorization-header", "", "Authorization: Basic " + abc(30), "Authorization: Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"},
		{"php-password", "", "define('DB_PASSWORD', '" + abc(9) + "');", "define( 'DB_PASSWORD', 'password_here' );"},
		{"telegram-bot", "", "bot 123456789:A" + "A" + abc(33) + " ", "12:34:AA:BB:CC"},
		{"azure-sas", "", "?sv=1&sig=" + abc(43) + "%3D", "?name=1&sig=" + abc(43) + "%3D"},
		{"jwt", "", "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + abc(30) + "." + abc(43), "eyJ" + "hbGciOi"},
	} {
		r := rules[c.rule]
		if r == nil {
			t.Errorf("there is no rule %s", c.rule)
			continue
		}
		m, ok := check(r, c.yes, c.path)
		if !ok {
			t.Errorf("%s does not find %.60q", c.rule, c.yes)
		}
		if len(m.Masked) > 8 && strings.Contains(c.yes, strings.TrimSuffix(m.Masked, "…")) {
			t.Errorf("%s shows %q", c.rule, m.Masked)
		}
		if _, ok := check(r, c.no, c.path); ok {
			t.Errorf("%s finds %.60q", c.rule, c.no)
		}
	}
}

// TestPathsLimit shows that a rule with paths counts in these files only.
func TestPathsLimit(t *testing.T) {
	r := builtin(t)["property-password"]
	if _, ok := check(r, "password="+abc(9), "/usr/share/doc/README"); ok {
		t.Error("a README is taken for a configuration")
	}
}

// TestRaised shows that a secret beside an identifier is a pair, and that a
// passphrase lowers a key.
func TestRaised(t *testing.T) {
	id := "AKI" + "AQ3XEZ7MNBVCKJHGF"
	m, ok := check(builtin(t)["aws-access-key"], id+"\nsecret: "+abc(40)+"\n", "")
	if !ok || m.Severity != secret.Critical || m.Title != "AWS key pair" {
		t.Errorf("the pair is %+v", m)
	}
	locked := strings.Replace(keyPEM(t), "PRIVATE", "ENCRYPTED PRIVATE", 2)
	m, ok = check(builtin(t)["private-key"], locked, "")
	if !ok || m.Severity != secret.Medium || m.Note == "" {
		t.Errorf("the encrypted key is %+v", m)
	}
}

// TestCheckPath tries the rules of paths.
func TestCheckPath(t *testing.T) {
	rules, err := secret.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	s := secret.NewSet(rules)
	for _, c := range []struct{ path, head, want string }{
		{"/etc/shadow", "root:$6$abcdefgh$" + abc(20) + ":1::\n", "shadow"},
		{"/etc/shadow", "root:*:1::\ndaemon:!:1::\n", ""},
		{"/home/me/.bash_history", "ls\n", "shell-history"},
		{"/home/me/.bash_history", "\n", ""},
		{"/etc/machine-id", strings.Repeat("0a", 16) + "\n", "machine-id"},
		{"/etc/machine-id", "uninitialized\n", ""},
		{"/etc/ssh/ssh_host_rsa_key", "x", "ssh-host-key"},
		{"/etc/ssh/ssh_host_rsa_key.pub", "x", ""},
		{"/root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3 me\n", "authorized-keys"},
		{"/var/lib/cloud/instances/i-1/user-data.txt", "#cloud-config", "cloud-init"},
		{"/Windows/System32/config/SAM", "regf", "windows-hive"},
		{"/Windows/Panther/Unattend.xml", "<AdministratorPassword>", "windows-unattend"},
	} {
		got := ""
		for _, m := range s.CheckPath(c.path, []byte(c.head)) {
			got += m.Rule.ID
		}
		if got != c.want {
			t.Errorf("%s is %q, not %q", c.path, got, c.want)
		}
	}
}

// TestParse refuses rules that would find nothing or too much.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"rules: [{id: a, title: b, severity: high}]":                                                           "looks for nothing",
		"rules: [{id: a, title: b, severity: awful, paths: [x]}]":                                              "awful",
		"rules: [{id: a, title: b, severity: high, anchors: [xy], pattern: xy}]":                               "shorter than 3",
		"rules: [{id: a, title: b, severity: high, anchors: [xyz]}]":                                           "belong together",
		"rules: [{id: a, title: b, severity: high, anchors: [xyz], pattern: '('}]":                             "missing closing",
		"rules: [{id: a, title: b, severity: high, paths: [x]}, {id: a, title: b, severity: low, paths: [x]}]": "another one",
		"rules: [{id: a, tilte: b}]":                                                                           "tilte",
		"allow: [{rule: a}]":                                                                                   "reason is missing",
		"allow: [{reason: because}]":                                                                           "rule is missing",
		"rules: [{id: a, title: b, severity: high, anchors: [xyz], pattern: x, window: 99999}]":                "the most is",
		"# nothing\nrules: " + strings.Repeat("[", 1000):                                                       "line 2 nests deeper",
		"rules: " + strings.Repeat("- ", 1000):                                                                 "nests deeper",
		"#" + strings.Repeat("x", 1<<20):                                                                       "more than",
	} {
		_, err := secret.Parse(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", text, err)
		}
	}
	f, err := secret.Parse(strings.NewReader("allow: [{rule: a, path: '/opt/**/b*', reason: because}]"))
	if err != nil {
		t.Fatal(err)
	}
	if a := f.Allow[0]; !a.Allows("a", "/opt/x/y/bc") || a.Allows("a", "/opt/x/cb") || a.Allows("b", "/opt/x/bc") {
		t.Error("the entry allows the wrong things")
	}
}

// FuzzParse shows that no file of rules does harm.
func FuzzParse(f *testing.F) {
	f.Add([]byte("rules: [{id: a, title: b, severity: high, anchors: [xyz], pattern: 'xyz(.*)'}]"))
	f.Add([]byte("allow: [{rule: a, path: '**/x', reason: because}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := secret.Parse(bytes.NewReader(b))
		if err != nil {
			return
		}
		v := carve.NewView(carve.Window{Data: b, End: int64(len(b))})
		for i := range file.Rules {
			r := &file.Rules[i]
			r.CheckPath("/etc/shadow", b)
			if len(r.Anchors) > 0 && v.MoveTo(0) {
				r.Check(v, "/etc/shadow")
			}
		}
	})
}
