package vm

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

// within is what a check of these tests may take; it is no measure.
const within = recipes.Duration(wait)

// expectation is a check and what must come of it.
type expectation struct {
	check recipes.Check
	ok    bool
	want  string // part of the detail
}

// expect makes all checks at once, as `imgbuild test` does.
func expect(t *testing.T, r *Running, list []expectation) *Report {
	t.Helper()
	var checks Checks
	failures := 0
	for _, e := range list {
		checks.List = append(checks.List, e.check)
		if !e.ok {
			failures++
		}
	}
	rep := r.Check(t.Context(), checks)
	for i, got := range rep.Results {
		if got.OK != list[i].ok || !strings.Contains(got.Detail, list[i].want) {
			t.Errorf("Check = %+v, want %v with %q", got, list[i].ok, list[i].want)
		}
	}
	err := rep.Err()
	if fault.KindOf(err) != fault.Check || strings.Count(err.Error(), "checking ") != failures ||
		!strings.Contains(err.Error(), "the last lines of the console:\n    | ") {
		t.Errorf("Err = %v, want a check fault with %d failures and the console", err, failures)
	}
	return rep
}

func TestChecksOfAServingGuest(t *testing.T) {
	t.Parallel()
	r := boot(t, "serve", Options{CPUs: 2, Ports: []Forward{{Guest: 8080}, {Guest: 7}, {Guest: 9}}})
	waitFor(t, r, "started")
	soon := recipes.Duration(r.since() + 10*time.Second)
	http := func(c recipes.HTTPCheck) recipes.Check { return recipes.Check{HTTP: &c} }
	tcp := func(c recipes.TCPCheck) recipes.Check { return recipes.Check{TCP: &c} }
	console := func(c recipes.ConsoleCheck) recipes.Check { return recipes.Check{Console: &c} }
	rep := expect(t, r, []expectation{
		{http(recipes.HTTPCheck{Port: 8080, Contains: "hello", Within: within}), true, "status 200"},
		{http(recipes.HTTPCheck{Port: 8080, Path: "/teapot", Status: 418, Within: within}), true, "status 418"},
		{http(recipes.HTTPCheck{Port: 8080, Path: "/teapot", Within: soon}), false, "status 418 instead of 200"},
		{http(recipes.HTTPCheck{Port: 8080, Contains: "bye", Within: soon}), false, `does not contain "bye"`},
		{tcp(recipes.TCPCheck{Port: 7, Send: "ping\n", Expect: "^p.ng", Within: within}), true, `received "ping"`},
		{tcp(recipes.TCPCheck{Port: 7, Within: within}), true, "connected"},
		{tcp(recipes.TCPCheck{Port: 9, Within: soon}), false, "dropped"},
		{tcp(recipes.TCPCheck{Port: 10, Within: within}), false, "not forwarded"},
		{console(recipes.ConsoleCheck{Match: "^ready to s", Within: within}), true, "ready to serve"},
		{console(recipes.ConsoleCheck{Match: "nobody prints this", Within: soon}), false, "no such line: not within"},
		{console(recipes.ConsoleCheck{Match: "(", Within: within}), false, "missing closing"},
		{recipes.Check{Exit: &recipes.ExitCheck{Within: soon}}, false, "the app did not end: not within"},
		{recipes.Check{}, false, "asks for nothing"},
		{recipes.Check{Listen: &recipes.ListenCheck{Ports: []int{8080, 7}, Within: within}}, true, "listens on ports 8080 and 7"},
		{recipes.Check{Listen: &recipes.ListenCheck{Ports: []int{8080}, Within: within}}, false, "the guest listens on port 7 too"},
		{recipes.Check{Listen: &recipes.ListenCheck{Ports: []int{22, 8080}, Within: soon}}, false, "does not listen on port 22: not within"},
		{bootCheck("listening", time.Hour), true, "of the guest's time"},
		{bootCheck("up", time.Millisecond), false, "which is more than 1ms"},
		{bootCheck("started", time.Millisecond), false, "which is more than 1ms"},
		{bootCheck("never", time.Hour), false, `does not end with "never"`},
		{recipes.Check{Absent: &recipes.AbsentCheck{Path: "/etc/shadow"}}, false, "has no disk"},
	})
	if rep.Timeline.Answered == nil {
		t.Error("the timeline does not tell of the first answer")
	}
}

func bootCheck(until string, atMost time.Duration) recipes.Check {
	return recipes.Check{Boot: &recipes.BootCheck{Until: until, AtMost: recipes.Duration(atMost), Within: within}}
}

// A port that the guest opens after every check succeeded fails the test
// nevertheless: the guest tells of it when it is switched off.
func TestLatePort(t *testing.T) {
	t.Parallel()
	r := boot(t, "serve", Options{Ports: []Forward{{Guest: 8080}}})
	rep := r.Test(t.Context(), Checks{List: []recipes.Check{
		{HTTP: &recipes.HTTPCheck{Port: 8080, Within: within}},
		{Listen: &recipes.ListenCheck{Ports: []int{7, 8080}, Within: within}},
	}})
	if len(rep.Results) != 3 || !rep.Results[0].OK || rep.Results[1].OK || !rep.Results[2].OK ||
		rep.Results[1].Detail != "the guest listens on port 22 too" || rep.Results[2].Check != "power off" {
		t.Errorf("the results are %+v", rep.Results)
	}
	if n := len(rep.Phases); n != 5 {
		t.Errorf("the boot has %d phases: %+v", n, rep.Phases)
	}
}

// No check may wait for its time to run out when the guest has come to its end.
func TestChecksOfAnEndingGuest(t *testing.T) {
	t.Parallel()
	http := recipes.Check{HTTP: &recipes.HTTPCheck{Port: 8080, Within: within}}
	line := recipes.Check{Console: &recipes.ConsoleCheck{Match: "nobody prints this", Within: within}}
	exit := func(status int) recipes.Check {
		return recipes.Check{Exit: &recipes.ExitCheck{Status: status, Within: within}}
	}
	const ended = "the machine ended (guest-shutdown), the app with status 3"
	for mode, list := range map[string][]expectation{
		"exit":   {{exit(3), true, "status 3"}, {exit(0), false, "the app ended with status 3"}, {http, false, ""}, {line, false, ended}},
		"return": {{http, false, "Kernel panic - not syncing"}, {exit(0), false, "Kernel panic - not syncing"}},
		"halt":   {{http, false, "init failed"}, {line, false, "init failed mounting /data: no such device"}},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := boot(t, mode, Options{Ports: []Forward{{Guest: 8080}}})
			for _, res := range expect(t, r, list).Results {
				if res.Elapsed >= wait.Seconds() {
					t.Errorf("%s waited for its time to run out", res.Check)
				}
			}
		})
	}
}

// A server that sends nothing and keeps the connection is one that listens; one
// that drops it is not told apart from a guest that refuses.
func TestStays(t *testing.T) {
	t.Parallel()
	for _, drop := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil && drop {
				conn.Close()
			}
			accepted <- conn // kept, or the garbage collector closes it
		}()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := stays(conn); (err != nil) != drop {
			t.Errorf("stays = %v with drop %v", err, drop)
		}
		if c := <-accepted; c != nil {
			c.Close()
		}
	}
}
