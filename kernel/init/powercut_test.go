package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The cuts of TestPowerCuts: a handful, or all of them when IMGBUILD_TEST_SLOW
// is set.
const (
	someCuts = 5
	allCuts  = 52
)

// writers is how many clients write at the same time.
const writers = 3

// TestPowerCuts pulls the plug of a guest whose app writes numbered records,
// again and again, on one disk: whatever number a client was told after an fsync
// must be there at the next boot. Every fourth time the disk has become larger,
// and the plug is pulled while init may be growing the partition and its
// filesystem. e2fsck judges the filesystem after each cut, and once more after
// an orderly end.
//
// QEMU is killed, not the host: what the guest had flushed is in the host's
// file, what it had not is lost with its memory.
func TestPowerCuts(t *testing.T) {
	g := withData()
	g.Mounts[0].Grow = true
	disk := partitioned(t, erofs(t, tree(t, g)))
	need(t, "e2fsck", "e2fsprogs")
	cuts := someCuts
	if os.Getenv("IMGBUILD_TEST_SLOW") != "" {
		cuts = allCuts
	}
	random := rand.New(rand.NewPCG(7, uint64(cuts)))
	o := options{nic: true, cmdline: strings.Replace(rootCmdline, "/dev/vda", "PARTUUID="+rootUUID, 1)}
	var acknowledged [writers]int
	size := int64(64 << 20)
	for cut := range cuts {
		growing := cut%4 == 1
		if growing {
			size += 8 << 20
			must(t, os.Truncate(disk, size))
		}
		m := start(t, disk, o)
		if growing {
			m.expect("imgbuild: up ")
			time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		} else {
			m.expect("app: listening")
			m.compare(&acknowledged)
			m.write(&acknowledged, 10+random.IntN(300))
		}
		must(t, m.cmd.Process.Kill())
		m.ended()
		judgeData(t, disk, false)
		if t.Failed() {
			t.Fatalf("after cut %d", cut+1)
		}
	}

	m := start(t, disk, o)
	m.expect("app: listening")
	m.compare(&acknowledged)
	m.press()
	m.expect("imgbuild: poweroff")
	m.ended()
	judgeData(t, disk, true)
	if e := dataExtent(t, disk); e.length < size-e.start-2<<20 {
		t.Errorf("of a disk of %d bytes the data partition has %d from %d", size, e.length, e.start)
	}
	for _, n := range acknowledged {
		if n == 0 {
			t.Error("a client was never answered")
		}
	}
	t.Logf("%d cuts, %v records acknowledged and there", cuts, acknowledged)
}

// compare asks for the last records: all that were acknowledged, and at most
// the one that each client was waiting for.
func (m *machine) compare(acknowledged *[writers]int) {
	m.t.Helper()
	for i, want := range acknowledged {
		text, err := m.get(fmt.Sprintf("/records?client=%d", i))
		must(m.t, err)
		got, err := strconv.Atoi(string(text))
		if err != nil {
			m.t.Fatalf("the records of client %d: %s", i, text)
		}
		if got < want || got > want+1 {
			m.t.Fatalf("client %d was told %d, and the disk has %d", i, want, got)
		}
		acknowledged[i] = got
	}
}

// write lets all clients write until they have been answered enough, and pulls
// the plug while they go on.
func (m *machine) write(acknowledged *[writers]int, enough int) {
	var answered atomic.Int64
	var clients sync.WaitGroup
	done := make(chan struct{})
	for i := range acknowledged {
		clients.Go(func() {
			for {
				n, err := m.appendRecord(i)
				if err != nil {
					return // the plug is pulled
				}
				acknowledged[i] = n
				if answered.Add(1) == int64(enough) {
					close(done)
				}
			}
		})
	}
	select {
	case <-done:
	case <-time.After(bootPatience):
		m.t.Errorf("%d of %d answers in %v", answered.Load(), enough, bootPatience)
	}
	must(m.t, m.cmd.Process.Kill())
	clients.Wait()
}

func (m *machine) appendRecord(client int) (int, error) {
	c := http.Client{Timeout: time.Minute}
	r, err := c.Post(fmt.Sprintf("http://127.0.0.1:%d/append?client=%d", m.port, client), "", nil)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// extent is where a partition lies, in bytes.
type extent struct{ start, length int64 }

// dataExtent asks sfdisk.
func dataExtent(t *testing.T, disk string) extent {
	t.Helper()
	var table struct {
		PartitionTable struct {
			Partitions []struct {
				UUID        string
				Start, Size int64
			}
		}
	}
	text, err := exec.Command("sfdisk", "--json", disk).Output() // it warns on stderr of a disk that has grown
	must(t, err)
	must(t, json.Unmarshal(text, &table))
	for _, p := range table.PartitionTable.Partitions {
		if strings.EqualFold(p.UUID, dataUUID) {
			return extent{p.Start * 512, p.Size * 512}
		}
	}
	t.Fatal("sfdisk shows no data partition")
	return extent{}
}

// judgeData lets e2fsck look at a copy of the data partition. One that was not
// unmounted has its journal replayed first, and the sums of free blocks and
// inodes in the superblock renewed, which the kernel only writes when it
// unmounts: e2fsck -p does no more than what is safe without asking. Nothing is
// left to repair then.
func judgeData(t *testing.T, disk string, unmounted bool) {
	t.Helper()
	e := dataExtent(t, disk)
	from, err := os.Open(disk)
	must(t, err)
	defer from.Close()
	judge(t, io.NewSectionReader(from, e.start, e.length), unmounted)
}

// judge does that with a copy of any filesystem.
func judge(t *testing.T, data io.Reader, unmounted bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	to, err := os.Create(path)
	must(t, err)
	defer os.Remove(path)
	_, err = io.Copy(to, data)
	must(t, errors.Join(err, to.Close()))
	if !unmounted {
		out, err := exec.Command("e2fsck", "-f", "-p", path).CombinedOutput()
		var exit *exec.ExitError
		if recovered := errors.As(err, &exit) && exit.ExitCode() == 1; err != nil && !recovered {
			t.Errorf("e2fsck -p: %v\n%s", err, out)
		}
	}
	if out, err := exec.Command("e2fsck", "-f", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("e2fsck -n: %v\n%s", err, out)
	}
}
