package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/vm"
)

// balloonPatience bounds a step of an emulated guest. A starved one reads its
// programs from the disk again and again: on a host with ten others at work three
// minutes brought no answer.
const balloonPatience = 15 * time.Minute

// TestBalloon takes memory from a guest whose JVM answers, more than it can
// spare, and gives it back. The JVM goes on answering all the time: its heap
// does not follow the balloon, but survives it.
func TestBalloon(t *testing.T) {
	dir := readyRecipes(t)
	out := t.TempDir()
	args := []string{"build", filepath.Join(dir, "hello-jvm.yaml"), "-o", out, "--set", "outputs=[raw]",
		"--set", "guest.memory=512MiB", "--set", "guest.isolation=strict", "--set", "kernel.cmdline=[loglevel=7]"}
	if made := os.Getenv("IMGBUILD_TEST_KERNEL"); made != "" {
		args = append(args, "--set", "kernel.file="+made)
	}
	imgbuild(t, args...)
	const mib = 1 << 20
	m, err := vm.New(vm.Options{Disk: filepath.Join(out, "hello-jvm.raw"), Boot: vm.Direct, Memory: 512 * mib, Ports: []vm.Forward{{Guest: 8080}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Kill()
	first := answer(t, r)

	squeeze(t, r, 192*mib, func(now int64) bool { return now <= 192*mib })
	for range 20 {
		if again := answer(t, r); again != first {
			t.Errorf("with the balloon inflated the JVM answers %q, before %q", again, first)
		}
	}
	if os.Getenv("IMGBUILD_TEST_SLOW") != "" {
		starve(t, r)
	}
	squeeze(t, r, 512*mib, func(now int64) bool { return now == 512*mib })
	if again := answer(t, r); again != first {
		t.Errorf("with the balloon deflated the JVM answers %q, before %q", again, first)
	}
	if text := words(r, 1000); !strings.Contains(text, "heap alloc:on, heap free:on") {
		t.Errorf("isolation strict does not zero memory:\n%s", text)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// starve asks for more than the kernel and the JVM can spare: the guest takes
// back what it has to have, and nothing is killed. It answers slowly.
func starve(t *testing.T, r *vm.Running) {
	t.Helper()
	const mib = 1 << 20
	squeeze(t, r, 32*mib, func(now int64) bool { return now < 160*mib })
	before := r.Now()
	for range 20 {
		answer(t, r)
	}
	kept, err := r.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	took := r.Now()
	t.Logf("asked for 32 MiB, the guest kept %d MiB; 20 answers took %.0f s and %.0f s of processor time",
		kept/mib, took.Wall-before.Wall, took.CPU-before.CPU)
}

// squeeze sets the guest's memory and waits until it has followed.
func squeeze(t *testing.T, r *vm.Running, size int64, enough func(int64) bool) {
	t.Helper()
	if err := r.SetMemory(t.Context(), size); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), balloonPatience)
	defer cancel()
	for {
		now, err := r.Memory(ctx)
		if err != nil {
			t.Fatalf("asked for %d bytes: %v", size, err)
		}
		if enough(now) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("asked for %d bytes, the guest has %d", size, now)
		}
	}
}

// words are the last lines of the console.
func words(r *vm.Running, lines int) string {
	var text strings.Builder
	for _, line := range r.Console().Tail(lines) {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

// answer gets the app's page, without the count of its visitors.
func answer(t *testing.T, r *vm.Running) string {
	t.Helper()
	addr, _ := r.Addr(8080)
	client := http.Client{Timeout: time.Minute}
	for deadline := time.Now().Add(balloonPatience); ; time.Sleep(200 * time.Millisecond) {
		resp, err := client.Get("http://" + addr + "/")
		if err == nil {
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode == http.StatusOK {
				page, _, _ := strings.Cut(string(text), "Visitor")
				return page
			}
		}
		select {
		case <-r.Failed():
			t.Fatalf("the guest gave up:\n%s", words(r, 30))
		case <-r.Done():
			t.Fatalf("the guest ended:\n%s", words(r, 30))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("no answer: %v\n%s", err, words(r, 30))
		}
	}
}
