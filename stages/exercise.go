package stages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

// retryEvery is how often an app that does not answer yet is asked again.
const retryEvery = 50 * time.Millisecond

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 4 << 20

// exercise asks the app once it answers, from inside the sandbox's network.
func exercise(ctx context.Context, p *sandbox.Process, t recipes.Train) error {
	expect, err := regexp.Compile(t.Expect)
	if err != nil {
		return fmt.Errorf("reading runtime.jvm.cds.train.expect: %w", err)
	}
	switch {
	case t.HTTP != "":
		return exerciseHTTP(ctx, p, t.HTTP, expect)
	case t.TCP != 0:
		return exerciseTCP(ctx, p, t, expect)
	}
	return errors.New("runtime.jvm.cds.train names nothing to do")
}

func exerciseHTTP(ctx context.Context, p *sandbox.Process, address string, expect *regexp.Regexp) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, network, addr string) (net.Conn, error) { return p.Dial(ctx, network, addr) },
		DisableKeepAlives: true,
	}}
	return retry(ctx, "no answer from "+u.String(), func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		switch {
		case err != nil:
			return err
		case resp.StatusCode >= http.StatusInternalServerError,
			// An error page may be what is wanted, but then it is asked for.
			resp.StatusCode >= http.StatusBadRequest && expect.String() == "":
			return fmt.Errorf("status %s", resp.Status)
		case !expect.Match(body):
			return fmt.Errorf("the page, with status %s, does not match %q", resp.Status, expect)
		}
		return nil
	})
}

// patience is how long one answer may take. A server that keeps the connection
// open is asked again after it when what it said does not match yet.
const patience = 5 * time.Second

func exerciseTCP(ctx context.Context, p *sandbox.Process, t recipes.Train, expect *regexp.Regexp) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(t.TCP))
	return retry(ctx, "no answer from port "+strconv.Itoa(t.TCP), func() error {
		c, err := p.Dial(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if t.Send != "" {
			if _, err := io.WriteString(c, t.Send+"\n"); err != nil {
				return err
			}
		} else if t.Expect == "" {
			return nil
		}
		c.SetReadDeadline(time.Now().Add(patience))
		return readMatch(c, expect)
	})
}

// readMatch reads until what came matches; at least one byte must come.
func readMatch(r io.Reader, expect *regexp.Regexp) error {
	var got []byte
	buf := make([]byte, 4096)
	for len(got) < maxAnswer {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if len(got) > 0 && expect.Match(got) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for %q after %q: %w", expect, got[:min(len(got), 80)], err)
		}
	}
	return fmt.Errorf("%q is not in the first %d bytes", expect, maxAnswer)
}

// retry calls try until it succeeds or ctx ends; then it tells the last error
// that is not that end.
func retry(ctx context.Context, what string, try func() error) error {
	var last error
	for {
		err := try()
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %v)", what, context.Cause(ctx), last)
		case <-time.After(retryEvery):
		}
	}
}
