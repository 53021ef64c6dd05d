package xfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// planter writes markers into an image, where its owner would leave residue.
type planter struct {
	t     *testing.T
	image string
	dead  []string
}

// db asks xfs_db, which may write.
func (p *planter) db(commands ...string) string {
	p.t.Helper()
	argv := []string{"-x"}
	for _, c := range commands {
		argv = append(argv, "-c", c)
	}
	return fstest.Program(p.t, "xfs_db", append(argv, p.image)...)
}

// number is what xfs_db answers, in its last number.
func (p *planter) number(commands ...string) int64 {
	p.t.Helper()
	all := regexp.MustCompile(`\d+`).FindAllString(p.db(commands...), -1)
	if len(all) == 0 {
		p.t.Fatalf("xfs_db answers %v with no number", commands)
	}
	n, err := strconv.ParseInt(all[len(all)-1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// byteOf turns a filesystem block or an inode number into a byte offset.
func (p *planter) byteOf(unit string, n int64) int64 {
	return p.number(fmt.Sprintf("convert %s %d byte", unit, n))
}

// extents returns the first byte of each extent of an inode's content.
func (p *planter) extents(inode int64, fork string) []int64 {
	p.t.Helper()
	out := p.db(fmt.Sprintf("inode %d", inode), "bmap "+fork)
	var at []int64
	for _, m := range regexp.MustCompile(`startblock (\d+)`).FindAllStringSubmatch(out, -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		at = append(at, p.byteOf("fsblock", n))
	}
	if len(at) == 0 {
		p.t.Fatalf("inode %d has no extents: %s", inode, out)
	}
	return at
}

// put writes a marker at a byte of the image. The commands lead xfs_db to the
// metadata around it, whose checksum is then renewed.
func (p *planter) put(class string, off int64, commands ...string) {
	p.t.Helper()
	f, err := os.OpenFile(p.image, os.O_WRONLY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(p.marker(class)), off); err != nil {
		p.t.Fatal(err)
	}
	if len(commands) > 0 {
		p.db(append(commands, "crc -r")...)
	}
}

func (p *planter) marker(class string) string {
	m := "DEAD-" + class + "-x"
	p.dead = append(p.dead, m)
	return m
}

// inodes returns the numbers of the files below dir.
func inodes(t *testing.T, dir string, names ...string) []int64 {
	t.Helper()
	var nums []int64
	for _, name := range names {
		out := fstest.Program(t, "stat", "-c", "%i", filepath.Join(dir, name))
		n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		nums = append(nums, n)
	}
	return nums
}

// residue leaves, through the kernel, what a deletion leaves.
const residue = `
	mkdir short block node attrs
	for i in $(seq 3); do : > short/DEAD-name-short-$i; done; : > short/LIVE-name-short; sync; rm short/DEAD*
	for i in $(seq 40); do : > block/DEAD-name-block-$i; : > block/LIVE-name-block-$i; done; rm block/DEAD*
	for i in $(seq 3000); do : > node/DEAD-name-in-a-directory-with-nodes-$i; : > node/LIVE-name-in-a-directory-with-nodes-$i; done
	sync; rm node/DEAD*
	for i in $(seq 2000); do echo DEAD-file-$i >> gone; done; echo LIVE-file > stays; sync; rm gone
	echo LIVE-cut > cut; for i in $(seq 2000); do echo DEAD-truncated-$i >> cut; done; sync; truncate -s 9 cut
	ln -s DEAD-target-short t1; ln -s LIVE-target-short t2; sync; rm t1
	ln -s /DEAD-target-long$(printf '/directory%.0s' $(seq 60)) t3; ln -s /LIVE-target-long$(printf '/directory%.0s' $(seq 60)) t4; sync; rm t3
	for f in local leaf remote; do : > attrs/$f; done
	setfattr -n user.dead -v DEAD-attr-local attrs/local; setfattr -n user.live -v LIVE-attr-local attrs/local; setfattr -x user.dead attrs/local
	for i in $(seq 20); do setfattr -n user.LIVE$i -v LIVE-attr-leaf-$i attrs/leaf; setfattr -n user.DEAD-attr-name-$i -v DEAD-attr-leaf-$i attrs/leaf; done
	sync; for i in $(seq 20); do setfattr -x user.DEAD-attr-name-$i attrs/leaf; done
	setfattr -n user.dead -v "$(printf 'DEAD-attr-remote%.0s' $(seq 300))" attrs/remote
	setfattr -n user.live -v "$(printf 'LIVE-attr-remote%.0s' $(seq 300))" attrs/remote; sync; setfattr -x user.dead attrs/remote
	echo LIVE-tail > tail; fallocate -l 64k unwritten; printf LIVE-unwritten | dd of=unwritten conv=notrunc status=none
	printf LIVE-prealloc > prealloc; fallocate -n -o 4096 -l 64k prealloc
`

// TestMarkers leaves residue in each class and looks for it after a scrub.
func TestMarkers(t *testing.T) {
	need(t)
	image := filepath.Join(t.TempDir(), "marked.img")
	mkfs(t, image, 64, "-L LIVE-label -m rmapbt=1")
	p := &planter{t: t, image: image, dead: []string{"DEAD"}}
	var nums []int64
	if !mounted(t, image, "nouuid", func(dir string) {
		shell(t, dir, residue)
		nums = inodes(t, dir, "tail", "unwritten", "prealloc", "t4", "attrs/leaf", "attrs/remote", "block")
	}) {
		t.Skip("the kernel does not mount XFS")
	}
	for _, m := range []string{"DEAD-name-short", "DEAD-name-block", "DEAD-name-in-a", "DEAD-file", "DEAD-truncated", "DEAD-target-short", "DEAD-target-long", "DEAD-attr-leaf", "DEAD-attr-remote"} {
		if !fstest.Contains(t, image, []byte(m)) {
			t.Errorf("the kernel left no %s", m)
		}
	}
	plant(p, nums)
	if err := os.Truncate(image, 65<<20); err != nil {
		t.Fatal(err)
	}
	p.put("behind-the-filesystem", 64<<20+777)
	fstest.Scrub(t, xfs.Driver{}, image)
	for _, m := range p.dead {
		if fstest.Contains(t, image, []byte(m)) {
			t.Errorf("%s is still there", m)
		}
	}
	for _, m := range []string{"label", "name-short", "name-block-40", "name-in-a-directory-with-nodes-3000", "file", "cut", "target-short", "target-long", "attr-local", "attr-leaf-20", "attr-remoteLIVE", "tail", "unwritten", "prealloc"} {
		if !fstest.Contains(t, image, []byte("LIVE-"+m)) {
			t.Errorf("LIVE-%s is gone", m)
		}
	}
	check(t, image)
	if again := fstest.Scrub(t, xfs.Driver{}, image); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
	// The kernel finds the head of the log, and goes on behind it.
	mounted(t, image, "nouuid", func(dir string) { shell(t, dir, "cat tail; echo more > more; rm -r node") })
	check(t, image)
}

// plant writes markers where no system call leads.
func plant(p *planter, nums []int64) {
	inode := func(n int64) string { return fmt.Sprintf("inode %d", n) }
	p.put("file-tail", p.extents(nums[0], "-d")[0]+100)
	p.put("unwritten-extent", p.extents(nums[1], "-d")[1]+5000)
	p.put("beyond-the-end", p.extents(nums[2], "-d")[1]+9000)
	p.put("inode-slack", p.byteOf("ino", nums[0])+176+16+8, inode(nums[0]))
	p.put("symlink-tail", p.extents(nums[3], "-d")[0]+3000, inode(nums[3]), "dblock 0")
	p.put("attribute-gap", p.extents(nums[4], "-a")[0]+600, inode(nums[4]), "ablock 0")
	p.put("attribute-tail", p.extents(nums[5], "-a")[1]+8192-40, inode(nums[5]), "ablock 4")
	agBytes := p.number("sb 0", "p agblocks") * 4096
	for _, n := range []int64{0, 1} {
		ag := agBytes * n
		p.put("superblock-tail", ag+400, fmt.Sprintf("sb %d", n))
		p.put("agf-tail", ag+512+300, fmt.Sprintf("agf %d", n))
		p.put("agi-tail", ag+1024+400, fmt.Sprintf("agi %d", n))
		p.put("free-list-slot", ag+2048-40, fmt.Sprintf("agfl %d", n))
		p.put("header-slack", ag+2048+100)
		for _, tree := range []string{"bno", "cnt", "rmap"} {
			root := p.number(fmt.Sprintf("agf %d", n), "p "+tree+"root")
			p.put(tree+"bt-slack", ag+root*4096+3900, fmt.Sprintf("agf %d", n), "addr "+tree+"root")
		}
		root := p.number(fmt.Sprintf("agi %d", n), "p root")
		p.put("inobt-slack", ag+root*4096+3900, fmt.Sprintf("agi %d", n), "addr root")
	}
	log := p.byteOf("fsblock", p.number("sb 0", "p logstart"))
	p.put("log-head", log+512*3+40)
	p.put("log-middle", log+5<<20+512*7+100)
	p.put("log-stamp", log+6<<20)
}
