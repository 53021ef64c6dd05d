package fstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/sanitize"
)

// History describes a filesystem on which files come and go at random. After a
// scrub nothing may be left of what is gone, and all must be there of what lives.
type History struct {
	Driver sanitize.Driver
	// Make, Check and Live are those of a [Suite]; Live is needed.
	Make, Check func(t *testing.T, path string)
	Live        func(t *testing.T, path string) map[string]string
	// Play makes changes to the image at path, in their order.
	Play func(t *testing.T, path string, steps []Step)
	// Name returns the name of file id, and what an entry of that name holds
	// that no other does.
	Name func(id int) (name string, traces [][]byte)
	// Steps is how many changes are made, Content how long a file may get.
	Steps, Content int
}

// Op is a kind of change.
type Op int

// The kinds of changes.
const (
	Mkdir  Op = iota
	Write     // Path becomes Data; it was Old, nil when it is new
	Rename    // Path becomes To
	Remove    // a file
)

// Step is a change to the tree. Paths begin with a slash.
type Step struct {
	Op        Op
	Path, To  string
	Data, Old []byte
}

// Run plays a history that follows from seed.
func (h History) Run(t *testing.T, seed uint64) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "history.img")
	h.Make(t, image)
	c := chronicle{History: h, r: rand.New(rand.NewPCG(seed, 1)), dirs: []string{""}, files: map[string][]byte{}}
	for range 2 { // with a moment between, in which all is at rest
		h.Play(t, image, c.steps(h.Steps/2))
	}
	h.Check(t, image)
	before := h.Live(t, image)
	for name, data := range c.files {
		if sum := Sum(t, bytes.NewReader(data)); before[name] != sum {
			t.Fatalf("%s digests to %q ahead of the scrub, want %s", name, before[name], sum)
		}
	}
	Scrub(t, h.Driver, image)
	h.Check(t, image)
	if diff := cmp.Diff(before, h.Live(t, image)); diff != "" {
		t.Errorf("the scrub changed the live tree (-before +after):\n%s", diff)
	}
	c.search(t, image)
	if again := Scrub(t, h.Driver, image); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
}

// chronicle makes up a history and knows what lives at its end.
type chronicle struct {
	History
	r     *rand.Rand
	id    int // of the last file or content
	dirs  []string
	names []string // of files, in the order of their making
	files map[string][]byte
}

// steps returns the next n changes.
func (c *chronicle) steps(n int) []Step {
	var steps []Step
	for range n {
		var s Step
		switch k := c.r.IntN(20); {
		case k == 0:
			s = Step{Op: Mkdir, Path: c.name()}
			c.dirs = append(c.dirs, s.Path)
		case k < 9 || len(c.names) == 0:
			s = Step{Op: Write, Path: c.name(), Data: c.content()}
		case k < 15:
			s = Step{Op: Remove, Path: c.any()}
		case k < 17:
			s = Step{Op: Rename, Path: c.any(), To: c.name()}
		default:
			s = Step{Op: Write, Path: c.any()}
			s.Old = c.files[s.Path]
			s.Data = c.edit(k, s.Old)
		}
		c.make(s)
		steps = append(steps, s)
	}
	return steps
}

// make makes the change in the chronicle's own tree.
func (c *chronicle) make(s Step) {
	if s.Op != Mkdir && s.Op != Write {
		c.names = slices.DeleteFunc(c.names, func(name string) bool { return name == s.Path })
	}
	switch s.Op {
	case Write:
		if s.Old == nil {
			c.names = append(c.names, s.Path)
		}
		c.files[s.Path] = s.Data
	case Rename:
		c.names = append(c.names, s.To)
		c.files[s.To] = c.files[s.Path]
		delete(c.files, s.Path)
	case Remove:
		delete(c.files, s.Path)
	}
}

// name returns a path that has never been.
func (c *chronicle) name() string {
	c.id++
	name, _ := c.Name(c.id)
	return c.dirs[c.r.IntN(len(c.dirs))] + "/" + name
}

func (c *chronicle) any() string { return c.names[c.r.IntN(len(c.names))] }

// trace is what a content consists of.
func trace(id int) []byte { return fmt.Appendf(nil, "<%06x>", id) }

// content returns a content that has never been: mostly a short one.
func (c *chronicle) content() []byte {
	c.id++
	n := 1 + c.r.IntN([]int{100, 5000, 20_000, c.Content}[c.r.IntN(4)])
	return bytes.Repeat(trace(c.id), n/8+1)[:n]
}

// edit returns what becomes of a content: shorter, longer or another.
func (c *chronicle) edit(k int, old []byte) []byte {
	switch k {
	case 17:
		return slices.Clone(old[:1+c.r.IntN(len(old))])
	case 18:
		return slices.Concat(old, c.content())
	}
	return c.content()
}

// search looks for every trace of what does not live.
func (c *chronicle) search(t *testing.T, image string) {
	t.Helper()
	b := written(t, image)
	there, alive := map[string]bool{}, map[string]bool{}
	collect(there, b)
	names := strings.Join(c.dirs, "/") + "/"
	for name, data := range c.files {
		names += path.Base(name) + "/"
		collect(alive, data)
	}
	found := 0
	for id := 1; id <= c.id; id++ {
		name, traces := c.Name(id)
		if strings.Contains(names, "/"+name+"/") {
			traces = nil
		}
		for _, x := range traces {
			if bytes.Contains(b, x) {
				c.accuse(t, image, x)
			}
			found++
		}
		if x := trace(id); !alive[string(x)] {
			if there[string(x)] {
				c.accuse(t, image, x)
			}
			found++
		}
	}
	if found < c.Steps/4 {
		t.Errorf("only %d traces were gone", found)
	}
}

// collect finds the traces of contents in b.
func collect(traces map[string]bool, b []byte) {
	n := len(trace(0))
	var last []byte
	for {
		i := bytes.IndexByte(b, '<')
		if i < 0 || len(b)-i < n {
			return
		}
		b = b[i:]
		if b[n-1] != '>' {
			b = b[1:]
			continue
		}
		if !bytes.Equal(b[:n], last) {
			last = b[:n]
			traces[string(last)] = true
		}
		b = b[n:]
	}
}

// accuse tells where a trace is.
func (c *chronicle) accuse(t *testing.T, image string, x []byte) {
	t.Helper()
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, x)
	g, _ := Read(t, c.Driver, image).At(int64(at))
	t.Errorf("%q lives nowhere, and is at byte %d, in %s of %s", x, at, g.Class, g.Owner)
}
