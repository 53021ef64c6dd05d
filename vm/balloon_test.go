package vm

import (
	"context"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// The balloon takes memory from a running guest, which goes on, and gives it
// back.
func TestBalloon(t *testing.T) {
	t.Parallel()
	r := boot(t, "hang", Options{})
	if _, err := r.Console().Wait(t.Context(), func(l Line) bool { return l.Text != "" }); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{128 << 20, 256 << 20} {
		if err := r.SetMemory(t.Context(), size); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		for {
			now, err := r.Memory(ctx)
			if err != nil {
				t.Fatalf("asked for %d bytes: %v", size, err)
			}
			if now == size {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, size := range []int64{0, 512 << 20} {
		if err := r.SetMemory(t.Context(), size); fault.KindOf(err) != fault.Usage {
			t.Errorf("SetMemory(%d) = %v, want a usage fault", size, err)
		}
	}
}

func TestNoBalloon(t *testing.T) {
	t.Parallel()
	r := newRunning(Options{Bus: NVMe, Memory: 256 << 20}, "")
	if err := r.SetMemory(t.Context(), 128<<20); fault.KindOf(err) != fault.Usage || len(fault.HintsOf(err)) == 0 {
		t.Errorf("SetMemory = %v, want a usage fault with a hint", err)
	}
}
