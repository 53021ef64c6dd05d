package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A server that answers has a rate, one that does not has none.
func TestLoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	words, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	go func() {
		for {
			conn, err := words.Accept()
			if err != nil {
				return
			}
			var said [4]byte
			conn.Read(said[:])
			conn.Write([]byte("imok"))
			conn.Close()
		}
	}()
	l := loading{clients: 3, span: 50 * time.Millisecond}
	addr := strings.TrimPrefix(server.URL, "http://")
	for name, test := range map[string]struct {
		addr string
		l    func(*loading)
		ok   bool
	}{
		"page":         {addr, func(l *loading) { l.page = "/page" }, true},
		"busy":         {addr, func(l *loading) { l.page = "/other" }, false},
		"words":        {words.Addr().String(), func(l *loading) { l.send, l.expect = "ruok", "imok" }, true},
		"other words":  {words.Addr().String(), func(l *loading) { l.send, l.expect = "ruok", "busy" }, false},
		"nobody there": {"127.0.0.1:1", func(l *loading) { l.send = "ruok" }, false},
	} {
		l := l
		test.l(&l)
		used := 0.0
		got, err := l.run(t.Context(), test.addr, func() float64 { used += 2; return used })
		if (err == nil) != test.ok || test.ok && (got.second <= 0 || got.cpuSecond <= 0) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
