package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loading says how to ask a guest for as much as it can give.
type loading struct {
	port    int
	page    string // to get; without one, send goes down a connection
	send    string
	expect  string        // what must come back
	clients int           // that ask at the same time
	warm    time.Duration // that does not count: the JVM compiles
	span    time.Duration // that counts
}

// rate is how many answers came, by the clock and by the processor time of QEMU,
// which says more on a machine that does other work.
type rate struct{ second, cpuSecond float64 }

// run returns at what rate answers come from an address. A wrong answer, or
// none, is an error: a guest that fails under load has no rate. cpu tells the
// CPU-seconds that the guest has used.
func (l loading) run(ctx context.Context, addr string, cpu func() float64) (rate, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.clients}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	ask := func() error { return l.get(client, "http://"+addr+l.page) }
	if l.send != "" {
		ask = func() error { return l.talk(addr) }
	}
	var (
		all     sync.WaitGroup
		answers atomic.Int64
		failed  = make(chan error, l.clients)
		quit    = make(chan struct{})
	)
	for range l.clients {
		all.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if err := ask(); err != nil {
					failed <- err
					return
				}
				answers.Add(1)
			}
		})
	}
	defer all.Wait()
	defer close(quit)
	if err := pause(ctx, l.warm, failed); err != nil {
		return rate{}, err
	}
	before, begin, used := answers.Load(), time.Now(), cpu()
	if err := pause(ctx, l.span, failed); err != nil {
		return rate{}, err
	}
	n := float64(answers.Load() - before)
	return rate{n / time.Since(begin).Seconds(), n / max(cpu()-used, 0.01)}, nil
}

// pause waits for d, or for the first failure.
func pause(ctx context.Context, d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-failed:
		return fmt.Errorf("loading the guest: %w", err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// get gets the page once, on a connection that is kept.
func (l loading) get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// talk asks once, on a connection of its own.
func (l loading) talk(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, l.send); err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	if err != nil {
		return err
	}
	if !strings.Contains(string(answer), l.expect) {
		return fmt.Errorf("%q was answered by %q, without %q", l.send, answer, l.expect)
	}
	return nil
}
