package ext_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// planter puts markers where debugfs says that something lies: it knows nothing
// of the driver.
type planter struct {
	t     *testing.T
	image string
	block int64
	gone  []string // markers that a scrub must remove
}

// ask runs one request of debugfs.
func (p *planter) ask(request string) string {
	return fstest.Program(p.t, "debugfs", "-R", request, p.image)
}

// number finds a number in what debugfs or dumpe2fs printed; -1 when there is
// none.
func number(text, pattern string) int64 {
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// plant writes a marker n bytes behind base, unless that is negative.
func (p *planter) plant(what string, base, n int64) {
	p.t.Helper()
	if base < 0 {
		return
	}
	off := base + n
	p.plantText("GONE-"+what, off)
}

// plantText writes a text that a scrub must remove.
func (p *planter) plantText(text string, off int64) {
	p.t.Helper()
	f, err := os.OpenFile(p.image, os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), off); err != nil {
		p.t.Fatal(err)
	}
	p.gone = append(p.gone, text)
}

// bmap returns where a block of a file begins, -1 when it has none.
func (p *planter) bmap(file string, logical int64) int64 {
	out := strings.TrimSpace(p.ask(fmt.Sprintf("bmap %s %d", file, logical)))
	if n, err := strconv.ParseInt(strings.Fields(out + " 0")[0], 10, 64); err == nil && n > 0 {
		return n * p.block
	}
	return -1
}

// at returns where a block begins whose number the pattern finds.
func (p *planter) at(text, pattern string) int64 {
	if n := number(text, pattern); n > 0 {
		return n * p.block
	}
	return -1
}

// inode returns where the record of a file begins.
func (p *planter) inode(file string) int64 {
	m := regexp.MustCompile(`located at block (\d+), offset 0x([0-9a-f]+)`).FindStringSubmatch(p.ask("imap " + file))
	if m == nil {
		p.t.Fatalf("debugfs does not find %s", file)
	}
	block, _ := strconv.ParseInt(m[1], 10, 64)
	off, _ := strconv.ParseInt(m[2], 16, 64)
	return block*p.block + off
}

func (p *planter) all() {
	super := fstest.Program(p.t, "dumpe2fs", p.image)
	p.block = number(super, `Block size: +(\d+)`)
	p.plantText("XFSB-OF-FORMER-OWNER", 0)
	size := number(super, `Inode size:\s+(\d+)`)
	p.plant("SLACK", p.bmap("/large", 700_001/p.block), 700_001%p.block+3)
	p.plant("UNWRITTEN", p.bmap("/preallocated", 0), 100)
	if strings.Contains(super, "has_journal") {
		p.plant("JOURNAL", p.bmap("<8>", 20), 40)
		if p.block > 1024 {
			p.plant("JSUPER-TAIL", p.bmap("<8>", 0), 2000)
		}
	}
	if p.block > 2048 {
		p.plant("SUPER-TAIL", 0, 3000)
	}
	if p.block > 1024 {
		p.plant("BACKUP-TAIL", p.at(super, `Backup superblock at (\d+)`), 1500)
	}
	p.plant("RESERVED-GDT", p.at(super, `Backup superblock at [\s\S]*?Reserved GDT blocks at (\d+)`), 77)
	if size > 128 {
		p.plant("INODE-TAIL", p.inode("/null"), size-40)
	}
	p.plant("DEVICE-WORDS", p.inode("/null"), 0x28+16)
	p.plant("FIFO-WORDS", p.inode("/pipe"), 0x28+2)
	p.plant("SYMLINK-TAIL", p.inode("/short"), 0x28+20)
	p.plant("FREE-BLOCK", p.at(super, `Free blocks: (\d+)`), 9)
	p.plant("MMP-NODE", p.at(super, `MMP block number: +(\d+)`), 20)
	if at := number(super, `Orphan file inode: +(\d+)`); at > 0 {
		p.plant("ORPHAN-FILE", p.bmap(fmt.Sprintf("<%d>", at), 0), 24)
	}
	// The last inode of the table has never been in use.
	p.plant("UNUSED-INODE", p.inode(fmt.Sprintf("<%d>", number(super, `Inode count: +(\d+)`))), 50)
}

// TestMarkers plants a marker in each class of every variant: all are gone
// after a scrub, and what lives beside them is there.
func TestMarkers(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i%6 != 0 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel() // e2fsprogs wait for seconds where there may be other writers
			path := filepath.Join(t.TempDir(), "image")
			args := append([]string{"-q", "-F"}, strings.Fields(v.args)...)
			fstest.Program(t, "mke2fs", append(args, path, fmt.Sprintf("%dk", v.kib))...)
			populate(t, path, 60)
			dir := t.TempDir()
			secret := filepath.Join(dir, "secret")
			if err := os.WriteFile(secret, []byte(strings.Repeat("GONE-CONTENT ", 900)), 0o600); err != nil {
				t.Fatal(err)
			}
			debugfs(t, path, "write "+secret+" GONE-NAME", "rm GONE-NAME", "symlink GONE-LINK /GONE-TARGET", "rm GONE-LINK",
				"symlink GONE-LINK-2 x", "rm GONE-LINK-2")
			if strings.Contains(v.name, "ext4") && !strings.Contains(v.name, "bigalloc") {
				debugfs(t, path, "write /dev/null preallocated", "fallocate preallocated 0 9")
			}
			repair(path)
			check(t, path)
			want := extract(t, path)
			if err := os.Truncate(path, int64(v.kib)<<10+12345); err != nil {
				t.Fatal(err)
			}
			p := &planter{t: t, image: path}
			p.all()
			p.plant("AFTER-THE-END", int64(v.kib)<<10, 5000)
			p.gone = append(p.gone, "GONE-")
			if len(p.gone) < 7 {
				t.Fatalf("only %v were planted", p.gone)
			}
			report := fstest.Scrub(t, ext.Driver{}, path)
			for _, marker := range p.gone {
				if fstest.Contains(t, path, []byte(marker)) {
					t.Errorf("%s is still there", marker)
				}
			}
			for _, live := range []string{"log-entry-with-a-longer-name-0003", "large#large#", "etc/target"} {
				if !fstest.Contains(t, path, []byte(live)) {
					t.Errorf("%s is gone", live)
				}
			}
			check(t, path)
			if got := extract(t, path); len(got) != len(want) {
				t.Errorf("debugfs reads %d files, before %d", len(got), len(want))
			}
			again := fstest.Scrub(t, ext.Driver{}, path)
			if again.Changed != 0 || again.Proof.Digest != report.Proof.Digest {
				t.Errorf("a second scrub changed %d bytes", again.Changed)
			}
		})
	}
}
