package audit_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// options are those of an audit under a policy.
func options(t testing.TB, policy string) audit.Options {
	t.Helper()
	p, err := audit.PolicyNamed(policy)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := secret.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return audit.Options{Drivers: drivers.All(), Rules: secret.NewSet(rules), Policy: p}
}

// run audits a disk.
func run(t testing.TB, r disk.Reader, opts audit.Options) *audit.Report {
	t.Helper()
	report, err := audit.Run(context.Background(), r, opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// token is a secret that is nobody's, put together so that this file holds
// none. n tells tokens apart.
func token(n int) string {
	return fmt.Sprintf("gh"+"p_q7RzK2mWx9LbT4vYc8NdJ5hGf3PsQ6a%05d", n)
}

func privateKey(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func picture(t *testing.T) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 100, 100))
	for i := range m.Pix {
		m.Pix[i] = byte(i*i>>3 ^ i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archive(t *testing.T, member, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(member)
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// image with an ext4 that holds files, of which some are deleted.
func filesystem(t *testing.T, files map[string][]byte, deleted ...string) string {
	t.Helper()
	fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs")
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	for name, content := range files {
		p := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "disk.img")
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-d", tree, path, "32m")
	var script strings.Builder
	for _, name := range deleted {
		fmt.Fprintf(&script, "rm /%s\n", name)
	}
	commands := filepath.Join(dir, "commands")
	if err := os.WriteFile(commands, []byte(script.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "debugfs", "-w", "-f", commands, path)
	return path
}

func open(t *testing.T, path string) *disk.File {
	t.Helper()
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// secrets tells, for each secret of a report, its rule and its owner.
func secrets(r *audit.Report) []string {
	var list []string
	for _, f := range r.Findings {
		if f.Kind != audit.Secret {
			continue
		}
		owner := f.Class.String()
		if !f.Dead() {
			owner = f.Owner
		}
		list = append(list, strings.TrimSpace(f.Rule+" "+owner+" "+f.Inside))
	}
	return list
}

// TestAudit plants files and secrets, live and deleted, and audits before and
// after a scrub.
func TestAudit(t *testing.T) {
	filler := bytes.Repeat([]byte("nothing to see here. "), 1000)
	border := append(bytes.Repeat([]byte("x"), 4096-20), "\n "+token(1)+"\n"...)
	path := filesystem(t, map[string][]byte{
		"etc/motd":             filler,
		"srv/border":           border,
		"srv/app.jar":          archive(t, "config/app.properties", "a=b\ntoken="+token(2)+"\n"),
		"root/.ssh/id_ec":      privateKey(t),
		"root/.bash_history":   []byte("ls\n"),
		"gone/picture.png":     picture(t),
		"gone/key.pem":         privateKey(t),
		"gone/bundle.zip":      archive(t, "notes.txt", "token "+token(3)+"\n"),
		"gone/across-a-border": append(bytes.Repeat([]byte("y"), 8192-20), "\n "+token(4)+"\n"...),
	}, "gone/picture.png", "gone/key.pem", "gone/bundle.zip", "gone/across-a-border")
	d := open(t, path)
	report := run(t, d, options(t, "default"))
	want := map[string]bool{
		"github-token /srv/border": true, "github-token /srv/app.jar config/app.properties at byte 10": true,
		"private-key /root/.ssh/id_ec": true, "ssh-user-key /root/.ssh/id_ec": true, "shell-history /root/.bash_history": true,
		"private-key free": true, "github-token free notes.txt at byte 6": true, "github-token free": true,
	}
	for _, s := range secrets(report) {
		if !want[s] {
			t.Errorf("%s is too much", s)
		}
		delete(want, s)
	}
	for s := range want {
		t.Errorf("%s was not found", s)
	}
	types := map[string]int64{}
	for _, s := range report.Sums {
		types[s.Rule] = s.Recoverable
	}
	if types["png"] != 1 || types["zip"] != 1 || types["key"] != 1 {
		t.Errorf("recoverable are %v", types)
	}
	if fault.KindOf(report.Err()) != fault.Residue || report.OK {
		t.Errorf("the verdict is %v", report.Err())
	}
	checkPlaces(t, d, report)

	if _, err := sanitize.Scrub(context.Background(), d, sanitize.Options{Drivers: drivers.All()}); err != nil {
		t.Fatal(err)
	}
	for _, s := range run(t, d, options(t, "default")).Sums {
		if s.Recoverable > 0 {
			t.Errorf("after the scrub: %+v", s)
		}
	}
}

// checkPlaces requires that what a finding tells of the disk is there.
func checkPlaces(t *testing.T, d disk.Reader, r *audit.Report) {
	t.Helper()
	for _, f := range r.Findings {
		head := map[string]string{"github-token": "gh" + "p_", "private-key": "-----BEGIN", "png": "\x89PNG", "zip": "PK\x03\x04"}[f.Rule]
		if head == "" || f.Inside != "" {
			continue
		}
		b := make([]byte, len(head))
		if _, err := d.ReadAt(b, f.Offset); err != nil || string(b) != head {
			t.Errorf("%s (%s): at byte %d is %q", f.Rule, f.Owner, f.Offset, b)
		}
	}
}

// TestMasked shows that no form of a report holds a secret.
func TestMasked(t *testing.T) {
	path := filesystem(t, map[string][]byte{"srv/live": []byte("a " + token(5) + "\n"), "gone/dead": []byte("a " + token(6) + "\n")}, "gone/dead")
	report := run(t, open(t, path), options(t, "none"))
	if len(report.Findings) < 2 {
		t.Fatalf("findings are %+v", report.Findings)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for form, s := range map[string]string{"JSON": string(text), "the table": table.String()} {
		if strings.Contains(s, token(5)[4:]) || strings.Contains(s, token(6)[4:]) {
			t.Errorf("%s shows a secret", form)
		}
	}
	if report.Err() != nil {
		t.Errorf("the policy none forbids: %v", report.Err())
	}
}

// TestAllow lets a finding pass for a reason.
func TestAllow(t *testing.T) {
	path := filesystem(t, map[string][]byte{"srv/live": []byte("a " + token(7) + "\n")})
	opts := options(t, "default")
	a := secret.Allow{Rule: "github-token", Path: "/srv/*", Reason: "it was revoked"}
	if err := a.Compile(); err != nil {
		t.Fatal(err)
	}
	opts.Allow = []secret.Allow{a}
	report := run(t, open(t, path), opts)
	if !report.OK || len(report.Findings) != 1 || report.Findings[0].Allowed != a.Reason {
		t.Errorf("the report is %+v", report)
	}
}

// TestExamples lists what stands in manuals and forbids none of it, but what
// stands elsewhere, and keeps a key in a program below one in a file.
func TestExamples(t *testing.T) {
	key := privateKey(t)
	path := filesystem(t, map[string][]byte{
		"usr/share/doc/app/example.pem": key,
		"usr/share/doc/app/app.jar":     archive(t, "key.pem", string(key)),
		"usr/lib/app.so":                append([]byte("\x7fELF\x02\x01\x01\x00"), key...),
		"srv/key.pem":                   key,
	})
	opts := options(t, "public")
	got := map[string]string{}
	for _, f := range run(t, open(t, path), opts).Findings {
		if f.Rule == "private-key" {
			got[f.Owner] = strings.TrimSpace(f.Severity.String() + " " + f.Forbidden)
		}
	}
	want := map[string]string{
		"/usr/share/doc/app/example.pem": "low", "/usr/share/doc/app/app.jar": "low",
		"/usr/lib/app.so": "medium public/no-credentials", "/srv/key.pem": "high public/no-credentials",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSameReport shows that neither the number of goroutines nor a second run
// changes a report.
func TestSameReport(t *testing.T) {
	files := map[string][]byte{}
	var gone []string
	for i := range 60 {
		name := fmt.Sprintf("d/%03d", i)
		files[name] = append(picture(t), token(i)...)
		if i%4 > 0 {
			gone = append(gone, name)
		}
	}
	path := filesystem(t, files, gone...)
	var first *audit.Report
	for _, workers := range []int{1, 2, 7} {
		opts := options(t, "default")
		opts.Workers = workers
		report := run(t, open(t, path), opts)
		if first == nil {
			first = report
		}
		if diff := cmp.Diff(first, report, cmp.AllowUnexported(audit.Finding{})); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

// TestUnrecognised carves a disk that no driver knows.
func TestUnrecognised(t *testing.T) {
	m := disk.NewMemory(64 << 20)
	for i, at := range []int64{0, 5001, 4<<20 - 100, 33 << 20} {
		if _, err := m.WriteAt(append(picture(t), token(i)...), at); err != nil {
			t.Fatal(err)
		}
	}
	report := run(t, m, options(t, "default"))
	var at []int64
	for _, f := range report.Findings {
		if f.Rule == "png" && f.Class == sanitize.Unknown {
			at = append(at, f.Offset)
		}
	}
	if len(secrets(report)) != 4 || len(at) == 0 || at[len(at)-1] != 33<<20 {
		t.Errorf("pictures at %v, secrets %v", at, secrets(report))
	}
}

// TestOneFile shows that a file is told once, whatever else its content looks
// like, and that the one behind it is told too.
func TestOneFile(t *testing.T) {
	m := disk.NewMemory(1 << 20)
	text := strings.Repeat("<path d='M 0 0 L 1 1'/>\n", 300)
	for i, s := range []string{"<?xml version='1.0'?>\n<svg width='1'>\n" + text + "</svg>\n", "<html>\n" + text + "</html>\n", text} {
		if _, err := m.WriteAt([]byte(s), int64(i)<<16); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, f := range run(t, m, options(t, "none")).Findings {
		got = append(got, fmt.Sprint(f.Rule, " at ", f.Offset))
	}
	if diff := cmp.Diff([]string{"svg at 0", "htm at 65536", "txt at 131072"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestMany counts findings without number, more than a job keeps, and lists a
// few.
func TestMany(t *testing.T) {
	const size = 6 << 20
	m := disk.NewMemory(size)
	line := []byte(" " + token(0) + "\n")
	if _, err := m.WriteAt(bytes.Repeat(line, size/len(line)), 0); err != nil {
		t.Fatal(err)
	}
	opts := options(t, "default")
	opts.MaxFindings = 100
	report := run(t, m, opts)
	total := int64(0)
	for _, s := range report.Sums {
		if s.Rule == "github-token" {
			total = s.Recoverable
		}
	}
	if total != int64(size/len(line)) || len(secrets(report)) != 100 {
		t.Errorf("%d counted, %d listed", total, len(secrets(report)))
	}
}

// TestInterrupted shows that a cancelled audit ends with no report.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := disk.NewMemory(16 << 20)
	if _, err := m.WriteAt(bytes.Repeat([]byte("x"), 16<<20), 0); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.Run(ctx, m, options(t, "default")); err == nil || r != nil {
		t.Errorf("the report is %+v, the error %v", r, err)
	}
}
