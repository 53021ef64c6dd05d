package html_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/html"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// hostile is a name that would run a script if it were taken for markup.
const hostile = `/srv/</script><script>document.title="broken"</script><img src=x onerror="document.title='broken'">{{title}}`

// report has findings of each kind on a disk of 64 MiB with one volume.
func report() *audit.Report {
	r := &audit.Report{
		Path: "out/disk & more.img", Size: 64 << 20, Scanned: 1 << 20, Files: 3, Policy: "default", Forbidden: 2,
		Sums: []audit.Sum{
			{Kind: audit.File, Rule: "png", Title: "PNG image", Recoverable: 40, Sure: 40, Bytes: 4000, First: []int64{9 << 20}},
			{Kind: audit.Secret, Rule: "shadow", Title: "password hashes", Live: 1, First: []int64{3 << 20}},
		},
		Owners:   []audit.Owner{{Path: hostile, Class: sanitize.Live, Bytes: 20 << 20}, {Path: "free blocks", Class: sanitize.Free, Bytes: 43 << 20}},
		Problems: []audit.Problem{{Offset: 1, Path: hostile, Error: "it is odd"}},
	}
	for c := sanitize.Unknown; c <= sanitize.Gap; c++ {
		r.Classes = append(r.Classes, audit.ClassBytes{Class: c, Bytes: int64(c) << 20})
	}
	for _, at := range []int64{0, 1 << 20} {
		m := &audit.Map{Title: fmt.Sprintf("map %d", at), Offset: at, Length: 64<<20 - at, Unit: 64 << 10}
		for off := int64(0); off < m.Length; off += m.Unit {
			var c audit.Cell
			c.Classes[sanitize.Free], c.Classes[sanitize.Live] = m.Unit/4, m.Unit*3/4
			c.Residue = m.Unit / 8
			m.Cells = append(m.Cells, c)
		}
		r.Maps = append(r.Maps, m)
	}
	for i := range int64(40) {
		r.Findings = append(r.Findings, audit.Finding{
			Kind: audit.File, Rule: "png", Title: "PNG image", Offset: 9<<20 + i<<20, Length: 100, Class: sanitize.Free, Owner: "free blocks",
			Severity: secret.Medium, Confidence: carve.High,
		})
	}
	r.Findings = append(r.Findings, audit.Finding{
		Kind: audit.Secret, Rule: "shadow", Title: "password hashes", Offset: 3 << 20, Length: 10, Class: sanitize.Live, Owner: hostile,
		Severity: secret.High, Confidence: carve.High, Forbidden: "default/severity",
	})
	return r
}

// driver works the page as a person would and notes what it shows.
const driver = `<script>
const text = id => document.getElementById(id).textContent;
const rows = () => document.querySelectorAll("#findings tbody tr").length;
const set = (id, value) => { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event("input", {bubbles: true})); };
const key = k => document.querySelector("#strips svg").dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true}));
const said = {title: document.title, tiles: {}, strips: document.querySelectorAll("#strips svg").length, pins: document.querySelectorAll(".pin").length,
  tiles2: document.querySelectorAll("#treemap rect").length, all: rows(), whole: text("span")};
for (const t of document.querySelectorAll("#tiles div")) said.tiles[t.dataset.tile] = t.querySelector("dd").textContent;
document.getElementById("in").click(); said.zoomed = text("span");
key("0"); said.again = text("span");
key("+"); key("ArrowRight"); said.moved = text("span"); key("0");
set("f-kind", "secret"); said.secrets = rows(); said.secretPins = document.querySelectorAll(".pin").length;
set("f-kind", ""); set("f-text", "onerror"); said.searched = rows();
set("f-text", ""); set("f-severity", "high"); said.high = rows(); set("f-severity", "info");
document.querySelector(".pin").dispatchEvent(new MouseEvent("click", {bubbles: true})); said.pile = rows();
set("f-text", ""); document.querySelector("#findings tbody tr").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"})); said.shown = text("span");
document.querySelectorAll("#findings th button")[4].click(); said.first = document.querySelector("#findings tbody tr").innerText;
document.querySelector("#secrets tbody tr").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"})); said.byRule = rows();
said.wide = document.documentElement.scrollWidth <= window.innerWidth;
const out = document.createElement("pre"); out.id = "said"; out.textContent = JSON.stringify(said); document.body.append(out);
</script>`

type said struct {
	Title                                                    string
	Tiles                                                    map[string]string
	Strips, Pins, Tiles2, All, Secrets, SecretPins, Searched int
	High, Pile, ByRule                                       int
	Whole, Zoomed, Again, Moved, Shown, First                string
	Wide                                                     bool
}

// browse opens a page from a file in a browser of that width.
func browse(t *testing.T, page []byte, width int) said {
	t.Helper()
	fstest.Need(t, "chromium", "chromium")
	path := filepath.Join(t.TempDir(), "page.html")
	page = bytes.Replace(page, []byte("</body>"), []byte(driver+"</body>"), 1)
	if err := os.WriteFile(path, page, 0o644); err != nil {
		t.Fatal(err)
	}
	dom := fstest.Program(t, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		fmt.Sprintf("--window-size=%d,900", width), "--virtual-time-budget=5000", "--dump-dom", "file://"+path)
	m := regexp.MustCompile(`<pre id="said">(.*?)</pre>`).FindStringSubmatch(dom)
	if m == nil {
		t.Fatalf("the page did not run:\n%.3000s", dom)
	}
	var s said
	if err := json.Unmarshal([]byte(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(m[1])), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBrowser opens the page in a browser, by mouse and by keyboard.
func TestBrowser(t *testing.T) {
	var b bytes.Buffer
	if err := html.Write(&b, report(), nil); err != nil {
		t.Fatal(err)
	}
	s := browse(t, b.Bytes(), 1200)
	if s.Title != "Audit of disk & more.img" {
		t.Errorf("the title is %q", s.Title)
	}
	for tile, want := range map[string]string{"size": "64.0 MiB", "recoverable files": "40", "secrets": "1", "against the policy": "2", "dead and not zero": "8.00 MiB"} {
		if s.Tiles[tile] != want {
			t.Errorf("%s is %q, not %q", tile, s.Tiles[tile], want)
		}
	}
	if s.Strips != 1 || s.Pins < 30 || s.Tiles2 != 2 || s.All != 41 {
		t.Errorf("%d strips, %d pins, %d tiles, %d rows", s.Strips, s.Pins, s.Tiles2, s.All)
	}
	if !strings.HasPrefix(s.Whole, "64.0 MiB") || !strings.HasPrefix(s.Zoomed, "32.0 MiB from byte 16,777,216") || s.Again != s.Whole {
		t.Errorf("zoomed from %q to %q to %q", s.Whole, s.Zoomed, s.Again)
	}
	if s.Moved == s.Zoomed || !strings.HasPrefix(s.Moved, "32.0 MiB") || s.Shown == s.Whole {
		t.Errorf("moved to %q, shown %q", s.Moved, s.Shown)
	}
	if s.Secrets != 1 || s.SecretPins != 1 || s.Searched != 1 || s.High != 1 || s.Pile != 1 {
		t.Errorf("filters leave %+v", s)
	}
	if s.ByRule != 1 || !strings.Contains(s.First, "3,145,728") {
		t.Errorf("a rule leads to %d rows; by place the first is %q", s.ByRule, s.First)
	}
}

// TestPhone opens the page with the state before a scrub, on a small screen.
func TestPhone(t *testing.T) {
	var b bytes.Buffer
	if err := html.Write(&b, report(), report()); err != nil {
		t.Fatal(err)
	}
	s := browse(t, b.Bytes(), 500)
	if s.Strips != 2 || !s.Wide {
		t.Errorf("%d strips; fits the screen: %v", s.Strips, s.Wide)
	}
}

// TestAlone shows that the page asks for nothing else.
func TestAlone(t *testing.T) {
	r := report()
	for i := range int64(9000) {
		r.Findings = append(r.Findings, audit.Finding{Kind: audit.Name, Rule: "deleted-name", Offset: i, Class: sanitize.Stale, Severity: secret.Low, Confidence: carve.High})
	}
	var b bytes.Buffer
	if err := html.Write(&b, r, nil); err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(src|href)=|url\(|@import|fetch\(`).Find(bytes.ReplaceAll(b.Bytes(), []byte(`src=x`), nil)); m != nil {
		t.Errorf("the page has %s", m)
	}
	if n := bytes.Count(b.Bytes(), []byte(`"kind":"`)); n > 5010 {
		t.Errorf("the page lists %d findings", n)
	}
	if !bytes.Contains(b.Bytes(), []byte(`"rule":"shadow"`)) {
		t.Error("the worst finding was left out")
	}
}
