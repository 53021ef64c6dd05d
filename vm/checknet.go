package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
)

// The rhythm of tries. QEMU's user-mode network accepts a connection whether
// the guest listens or not and drops it when the guest refuses; while the
// guest has no network at all, it stays open in silence. So each try has its
// own time, which grows when it was not enough: an emulated JVM may need
// seconds for its first page.
const (
	firstTry   = 2 * time.Second
	longestTry = 2 * time.Minute
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// maxBody bounds how much of an answer is looked at, in bytes.
const maxBody = 4 << 20

// retry tries the address of a guest's port until that succeeds or ctx ends.
// Then the error tells both why it ended and how the last try went.
func (r *Running) retry(ctx context.Context, port int, try func(ctx context.Context, addr string) (string, error)) (string, error) {
	addr, ok := r.Addr(port)
	if !ok {
		return "", fmt.Errorf("port %d of the guest is not forwarded", port)
	}
	limit, pause := firstTry, firstPause
	var last error
	for {
		once, cancel := context.WithTimeout(ctx, limit)
		detail, err := try(once, addr)
		if over(once) {
			limit = min(2*limit, longestTry)
		}
		cancel()
		if err == nil {
			return detail, nil
		}
		if last == nil || !over(ctx) {
			last = err // a try that ctx cut short says nothing of the guest
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w; the last try: %w", context.Cause(ctx), last)
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// over reports whether ctx has ended or is about to: connections watch its
// deadline with clocks of their own, which may run out before its.
func over(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

// pathOf returns the path of a check, "/" by default.
func pathOf(c recipes.HTTPCheck) string {
	if c.Path == "" {
		return "/"
	}
	return c.Path
}

// httpProbe gets a page. A redirection is an answer like any other.
func (r *Running) httpProbe(c recipes.HTTPCheck) probeFunc {
	want := c.Status
	if want == 0 {
		want = http.StatusOK
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	try := func(ctx context.Context, addr string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+pathOf(c), nil)
		if err != nil {
			return "", fmt.Errorf("making the request: %w", err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		switch {
		case err != nil:
			return "", fmt.Errorf("reading the answer: %w", err)
		case resp.StatusCode != want:
			return "", fmt.Errorf("status %d instead of %d: %s", resp.StatusCode, want, excerpt(body))
		case !strings.Contains(string(body), c.Contains):
			return "", fmt.Errorf("the answer does not contain %q: %s", c.Contains, excerpt(body))
		}
		return fmt.Sprintf("status %d, %d bytes", resp.StatusCode, len(body)), nil
	}
	return func(ctx context.Context) (string, error) { return r.retry(ctx, c.Port, try) }
}

// silence is how long a connection must stay open to count as one when the
// check expects nothing: that a guest refuses shows only in its being dropped.
const silence = 300 * time.Millisecond

// tcpProbe connects, sends, and reads until the pattern matches.
func (r *Running) tcpProbe(c recipes.TCPCheck) probeFunc {
	return func(ctx context.Context) (string, error) {
		expect, err := regexp.Compile(c.Expect)
		if err != nil {
			return "", fmt.Errorf("reading the pattern: %w", err)
		}
		return r.retry(ctx, c.Port, func(ctx context.Context, addr string) (string, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return "", err
			}
			defer conn.Close()
			// The end of ctx ends what is being read or written.
			defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
			if _, err := io.WriteString(conn, c.Send); err != nil {
				return "", fmt.Errorf("sending: %w", err)
			}
			if c.Expect == "" {
				return "connected", stays(conn)
			}
			return readUntil(conn, expect)
		})
	}
}

// stays returns nil when the other side neither closes nor resets conn.
func stays(conn net.Conn) error {
	conn.SetReadDeadline(time.Now().Add(silence))
	_, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return fmt.Errorf("the connection was dropped: %w", err)
}

// readUntil reads until the pattern matches.
func readUntil(conn net.Conn, expect *regexp.Regexp) (string, error) {
	var got []byte
	buf := make([]byte, 4096)
	for len(got) < maxBody {
		n, err := conn.Read(buf)
		got = append(got, buf[:n]...)
		if m := expect.Find(got); m != nil {
			return "received " + excerpt(m), nil
		}
		if err != nil {
			return "", fmt.Errorf("waiting for %q after %s: %w", expect, excerpt(got), err)
		}
	}
	return "", fmt.Errorf("%q is not in the first %d bytes", expect, maxBody)
}

// excerpt shows the beginning of what a guest sent.
func excerpt(b []byte) string {
	const most = 80
	if len(b) > most {
		return fmt.Sprintf("%q…", b[:most])
	}
	return fmt.Sprintf("%q", b)
}
