package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRetryTellsTheLastWholeTry lets the time of a check run out in the middle
// of a try, before its context knows, as a dialer does.
func TestRetryTellsTheLastWholeTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Running{ports: []Forward{{Host: 1, Guest: 80}}}
		cause := errors.New("not within 3s")
		ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(3*time.Second), cause)
		defer cancel()
		first := true
		_, err := r.retry(ctx, 80, func(context.Context, string) (string, error) {
			if first {
				first = false
				return "", errors.New("status 503")
			}
			deadline, _ := ctx.Deadline()
			time.Sleep(time.Until(deadline))
			return "", errors.New("i/o timeout")
		})
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "status 503") || strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("retry = %v, want the cause and the last whole try", err)
		}
	})
}
