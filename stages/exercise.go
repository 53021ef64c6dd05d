package stages

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/stages/sandbox"
)

// retryEvery is how often an app that does not answer yet is asked again.
const retryEvery = 50 * time.Millisecond

// exercise asks the app once it answers, from inside the sandbox's network.
func exercise(ctx context.Context, p *sandbox.Process, t recipes.Train) error {
	switch {
	case t.HTTP != "":
		return exerciseHTTP(ctx, p, t.HTTP)
	case t.TCP != 0:
		return exerciseTCP(ctx, p, t)
	}
	return errors.New("runtime.jvm.cds.train names nothing to do")
}

func exerciseHTTP(ctx context.Context, p *sandbox.Process, address string) error {
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
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20)); err != nil {
			return err
		}
		if resp.StatusCode >= 500 {
			return fmt.Errorf("status %s", resp.Status)
		}
		return nil
	})
}

func exerciseTCP(ctx context.Context, p *sandbox.Process, t recipes.Train) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(t.TCP))
	return retry(ctx, "no answer from port "+strconv.Itoa(t.TCP), func() error {
		c, err := p.Dial(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if t.Send == "" {
			return nil
		}
		if _, err := io.WriteString(c, t.Send+"\n"); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = bufio.NewReader(c).ReadByte()
		return err
	})
}

// retry calls try until it succeeds or ctx ends; the last error is told.
func retry(ctx context.Context, what string, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %v)", what, context.Cause(ctx), err)
		case <-time.After(retryEvery):
		}
	}
}
