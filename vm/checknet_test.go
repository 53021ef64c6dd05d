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

// TestRetryIsPatient refuses at once for many tries, as a guest does whose app
// takes minutes to start, and then needs more than the first try's time.
func TestRetryIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Running{ports: []Forward{{Host: 1, Guest: 80}}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		tries := 0
		got, err := r.retry(ctx, 80, func(ctx context.Context, _ string) (string, error) {
			if tries++; tries < 200 {
				return "", errors.New("connection reset")
			}
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(10 * time.Second):
				return "hello", nil
			}
		})
		if got != "hello" || err != nil {
			t.Errorf("retry = %q, %v after %d tries", got, err, tries)
		}
		if want := 203; tries != want { // with 2, 4, 8 and 16 seconds
			t.Errorf("%d tries, want %d", tries, want)
		}
	})
}
