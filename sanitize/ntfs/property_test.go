package ntfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// TestRandomHistory lives on volumes at random, and then looks for all marks
// that were ever written: those that are left belong to what lives.
func TestRandomHistory(t *testing.T) {
	need(t)
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "volume.img")
			makeVolume(t, path, 24, []string{"", "-c 512", "-c 1024", "-c 32768", "-s 4096", "-c 16384"}[seed%6])
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			for range 3 {
				mounted(t, path, "", func(dir string) { newHistory(t, r, dir).run(300) })
			}
			tree := live(t, path)
			before := fstest.Read(t, ntfs.Driver{}, path)
			fstest.Scrub(t, ntfs.Driver{}, path)
			check(t, path)
			if diff := cmp.Diff(tree, live(t, path)); diff != "" {
				t.Errorf("the live tree is another (-before +after):\n%s", diff)
			}
			if after := fstest.Read(t, ntfs.Driver{}, path); after.Size != before.Size {
				t.Error("the volume has another size")
			}
			alive := liveMarks(t, path)
			b, err := os.ReadFile(path)
			must(t, err)
			l, found := fstest.Read(t, ntfs.Driver{}, path), 0
			for _, expr := range []*regexp.Regexp{mark, wideMark} {
				for _, at := range expr.FindAllIndex(b, -1) {
					m := string(bytes.ReplaceAll(b[at[0]:at[1]], []byte{0}, nil))
					g, _ := l.At(int64(at[0]))
					if g.Class == sanitize.Metadata && at[0]/512 != (at[1]+1)/512 {
						continue // a sequence number may stand in it
					}
					if found++; !alive[m] {
						t.Errorf("%s lives nowhere, and is at byte %d in %s of %s", m, at[0], g.Class, g.Owner)
					}
				}
			}
			if found == 0 {
				t.Error("no marks are left")
			}
		})
	}
}

// A mark is in names and in content. Each is used once.
var (
	mark     = regexp.MustCompile(`~[0-9]{7}~`)
	wideMark = regexp.MustCompile(`~\x00(?:[0-9]\x00){7}~\x00`)
)

// liveMarks returns the marks in the tree as ntfs-3g shows it.
func liveMarks(t *testing.T, path string) map[string]bool {
	t.Helper()
	alive := map[string]bool{}
	add := func(b []byte) {
		for _, m := range mark.FindAll(b, -1) {
			alive[string(m)] = true
		}
	}
	mounted(t, path, ",ro", func(dir string) {
		must(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			add([]byte(p))
			if e.Type().IsRegular() {
				b, err := os.ReadFile(p)
				must(t, err)
				add(b)
			}
			value := make([]byte, 1<<20)
			if n, err := unix.Lgetxattr(p, "user.stream", value); err == nil {
				add(value[:n])
			}
			return nil
		}))
	})
	return alive
}

// history does random things in a folder.
type history struct {
	t     *testing.T
	r     *rand.Rand
	dirs  []string
	files []string
}

func newHistory(t *testing.T, r *rand.Rand, root string) *history {
	h := &history{t: t, r: r}
	must(t, filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			h.dirs = append(h.dirs, p)
		} else if err == nil {
			h.files = append(h.files, p)
		}
		return err
	}))
	return h
}

func (h *history) mark() string { return fmt.Sprintf("~%07d~", h.r.IntN(10_000_000)) }

// content returns up to n bytes full of marks.
func (h *history) content(n int) []byte {
	var b []byte
	for want := h.r.IntN(n + 1); len(b) < want; {
		b = append(b, h.mark()...)
	}
	return b
}

func (h *history) name() string {
	return filepath.Join(h.dirs[h.r.IntN(len(h.dirs))], h.mark()+"a longer name than DOS has room for"[:h.r.IntN(30)])
}

// take removes a random file from the list.
func (h *history) take() string {
	i := h.r.IntN(len(h.files))
	p := h.files[i]
	h.files = append(h.files[:i], h.files[i+1:]...)
	return p
}

func (h *history) run(steps int) {
	for range steps {
		switch k := h.r.IntN(20); {
		case k == 0 || len(h.dirs) < 3:
			p := h.name()
			must(h.t, os.Mkdir(p, 0o755))
			h.dirs = append(h.dirs, p)
		case k < 9 || len(h.files) == 0:
			p := h.name()
			must(h.t, os.WriteFile(p, h.content([]int{300, 1000, 5000, 60_000}[h.r.IntN(4)]), 0o644))
			h.files = append(h.files, p)
		default:
			h.change(k)
		}
	}
}

// change does something to a file.
func (h *history) change(k int) {
	p := h.take()
	switch {
	case k < 14:
		must(h.t, os.Remove(p))
		return
	case k < 16:
		to := h.name()
		must(h.t, os.Rename(p, to))
		p = to
	case k == 16:
		must(h.t, os.Truncate(p, int64(h.r.IntN(20_000))))
	case k == 17:
		to := h.name()
		must(h.t, os.Link(p, to))
		h.files = append(h.files, to)
	case k == 18:
		must(h.t, unix.Setxattr(p, "user.stream", h.content(3000), 0))
	default:
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		must(h.t, err)
		_, err = f.WriteAt(h.content(9000), int64(h.r.IntN(50_000)))
		must(h.t, err)
		must(h.t, f.Close())
	}
	h.files = append(h.files, p)
}
