package audit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// letters returns n characters with much entropy; i tells them apart.
func letters(i, n int) string {
	const all = "q7RzK2mWx9LbT4vYc8NdJ5hGf3PsQ6aZk1Xe0UwMiHoBjCtVnEgFrDlSpAyIuO"
	s := strings.Repeat(all, n/len(all)+3)
	return s[i*7%len(all):][:n]
}

// hex returns n hexadecimal digits.
func hex(i, n int) string {
	return strings.Repeat(fmt.Sprintf("%04x9c2e71d5b6f8a03", i*2654435761%65536), n/19+1)[:n]
}

func upper(i, n int) string {
	const all = "Q7RZK2MWXLBTVYCNDJ5HGF3PS6AE4U"
	return strings.Repeat(all[i%20:]+all[:i%20], n/len(all)+1)[:n]
}

// kinds are texts that hold a secret, by the rule that must find it. They are
// put together, so that this file holds none.
func kinds(t *testing.T) map[string]func(i int) string {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	armor := func(label string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
	}
	pre := func(head string, tail func(i, n int) string, n int) func(int) string {
		return func(i int) string { return head + tail(i, n) + "\n" }
	}
	return map[string]func(i int) string{
		"private-key": func(i int) string {
			return armor([]string{"PRIVATE KEY", "RSA PRIVATE KEY"}[i%2], [][]byte{pkcs8, x509.MarshalPKCS1PrivateKey(key)}[i%2])
		},
		"private-key-der":     func(int) string { return string(pkcs8) },
		"age-key":             pre("AGE-SECRET-"+"KEY-1", func(i, n int) string { return strings.Repeat("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 2)[:n] }, 58),
		"openvpn-static-key":  pre("-----BEGIN OpenVPN "+"Static key V1-----\n", hex, 512),
		"wireguard-key":       func(i int) string { return "Private" + "Key = " + letters(i, 42) + "A=\n" },
		"aws-secret-key":      pre("aws_secret_"+"access_key = ", letters, 40),
		"aws-access-key":      pre("AKI"+"A", upper, 16),
		"gcp-service-account": func(i int) string { return `"private_key_` + `id": "` + hex(i, 40) + "\"\n" },
		"google-api-key":      pre("AI"+"za", letters, 35),
		"google-oauth":        pre("GOC"+"SPX-", letters, 28),
		"azure-storage-key":   func(i int) string { return "Account" + "Key=" + letters(i, 86) + "==;\n" },
		"digitalocean-token":  pre("dop_"+"v1_", hex, 64),
		"alibaba-key":         pre("LT"+"AI", letters, 20),
		"kubeconfig":          pre("client-key-"+"data: ", letters, 400),
		"terraform-token":     pre("x.atlas"+"v1.", letters, 64),
		"vault-token":         pre("hv"+"s.", letters, 95),
		"databricks-token":    pre("da"+"pi", hex, 32),
		"docker-auth":         func(i int) string { return `{"au` + `ths": {"r.example.org": {"auth": "` + letters(i, 24) + `"}}}` },
		"docker-hub-token":    pre("dckr_"+"pat_", letters, 27),
		"github-token":        pre("gh"+"p_", letters, 36),
		"github-pat":          pre("github_"+"pat_", letters, 82),
		"gitlab-token":        pre("gl"+"pat-", letters, 20),
		"slack-token":         pre("xo"+"xb-123456789012-", letters, 24),
		"slack-webhook": func(i int) string {
			return "https://hooks.slack.com/" + "services/T" + upper(i, 9) + "/B" + upper(i, 9) + "/" + letters(i, 24) + "\n"
		},
		"stripe-key":        pre("sk_"+"live_", letters, 24),
		"npm-token":         pre("np"+"m_", letters, 36),
		"npmrc-auth":        pre("//r.example.org/:_auth"+"Token=", letters, 40),
		"pypi-token":        pre("pypi-AgEIcHlwaS5"+"vcmc", letters, 60),
		"rubygems-token":    pre("rubygems"+"_", hex, 48),
		"sendgrid-key":      func(i int) string { return "S" + "G." + letters(i, 22) + "." + letters(i+3, 43) + "\n" },
		"mailgun-key":       pre("ke"+"y-", hex, 32),
		"twilio-key":        pre("TWILIO"+"_AUTH_TOKEN=", hex, 32),
		"shopify-token":     pre("shp"+"at_", hex, 32),
		"openai-key":        pre("sk-"+"proj-", letters, 60),
		"anthropic-key":     pre("sk-ant-"+"api03-", letters, 90),
		"huggingface-token": pre("h"+"f_", func(i, n int) string { return strings.Repeat("QwErTyUiOpAsDfGhJkLzXcVbNmqWeRtYuI", 2)[i:][:n] }, 34),
		"telegram-token":    pre("https://api.telegram.org/"+"bot123456789:", letters, 35),
		"newrelic-key":      pre("NRA"+"K-", upper, 27),
		"password-hash":     pre("root:$"+"6$saltsalt$", letters, 86),
		"jdbc-password":     pre("jdbc:postgresql://db/app?user=a&pass"+"word=", letters, 12),
		"netrc":             pre("machine api.example.org login me pass"+"word ", letters, 14),
	}
}

// TestPlanted plants each kind of secret in a live file across the border of
// blocks, in a jar, in a deleted file across a border, in a deleted zip file,
// and in the slack behind a file. All are found, and nothing else is.
func TestPlanted(t *testing.T) {
	files, want := map[string][]byte{}, map[string]bool{}
	var gone []string
	filler := bytes.Repeat([]byte("nothing to see here.\n"), 400)
	slack := map[string]string{}
	list := kinds(t)
	maps.Copy(list, moreKinds())
	for rule, make := range list {
		across := func(i int) []byte {
			// DER keys stand at the beginning of files.
			if rule == "private-key-der" {
				return []byte(make(i))
			}
			return append(append(bytes.Clone(filler[:4096-6]), '\n'), make(i)...)
		}
		files["live/"+rule] = across(0)
		files["jars/"+rule+".jar"] = archive(t, "config/"+rule, string(filler)+make(1))
		files["gone/"+rule] = across(2)
		files["gone/"+rule+".zip"] = archive(t, "notes/"+rule, string(filler)+make(3))
		files["slack/"+rule] = []byte("short\n")
		slack["/slack/"+rule] = "\n" + make(4)
		gone = append(gone, "gone/"+rule, "gone/"+rule+".zip")
		want[rule+" /live/"+rule], want[rule+" /jars/"+rule+".jar"] = true, true
		want[rule+" slack /slack/"+rule] = true
	}
	path := filesystem(t, files, gone...)
	d := open(t, path)
	fill(t, d, path, slack)
	dead := map[string]int{}
	total := 0
	for _, f := range run(t, d, options(t, "none")).Findings {
		if f.Kind != audit.Secret {
			continue
		}
		total++
		switch f.Class {
		case sanitize.Free:
			dead[f.Rule]++
		case sanitize.Slack:
			delete(want, f.Rule+" slack "+f.Owner)
		default:
			delete(want, f.Rule+" "+f.Owner)
		}
	}
	for s := range want {
		t.Errorf("%s was not found", s)
	}
	for rule := range list {
		if dead[rule] != 2 {
			t.Errorf("%s was found %d times in free blocks", rule, dead[rule])
		}
	}
	if total != 5*len(list) {
		t.Errorf("%d findings for %d secrets", total, 5*len(list))
	}
}

// fill writes texts into the slack behind files.
func fill(t *testing.T, d disk.Writer, path string, texts map[string]string) {
	t.Helper()
	for _, g := range fstest.Read(t, ext.Driver{}, path).Regions {
		text, ok := texts[g.Owner]
		if !ok || g.Class != sanitize.Slack {
			continue
		}
		if _, err := d.WriteAt([]byte(text), g.Off+100); err != nil {
			t.Fatal(err)
		}
	}
}
