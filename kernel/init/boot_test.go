package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// report is testdata/app's answer, as far as the tests look at it.
type report struct {
	UID, GID         int
	Groups           []int
	Dir, Hostname    string
	Env, Hosts       []string
	Status           map[string]string
	Limits, Resolver string
	Mounts, Init     string
	Session, PID     int
	Zombies          int
	DataError        string
}

func (m *machine) report() report {
	m.t.Helper()
	b, err := m.get("/")
	must(m.t, err)
	var r report
	must(m.t, json.Unmarshal(b, &r))
	return r
}

func TestBootDHCP(t *testing.T) {
	m := start(t, erofs(t, tree(t, serving())), options{nic: true})
	m.expect("imgbuild: up ")
	m.expect("imgbuild: network eth0 10.0.2.15/24")
	m.expect("imgbuild: started pid ")
	m.expect("app: listening")
	r := m.report()
	if r.UID != 1000 || r.GID != 1000 || len(r.Groups) != 0 || r.Dir != "/tmp" {
		t.Errorf("user %d:%d, groups %v, in %s", r.UID, r.GID, r.Groups, r.Dir)
	}
	for _, key := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if r.Status[key] != "0000000000000000" {
			t.Errorf("%s is %s", key, r.Status[key])
		}
	}
	if r.Status["NoNewPrivs"] != "1" || r.Session != r.PID {
		t.Errorf("no new privileges: %s, session %d of pid %d", r.Status["NoNewPrivs"], r.Session, r.PID)
	}
	env := strings.Join(r.Env, " ")
	for _, want := range []string{"HOME=/data", "TZ=UTC", "GREETING=hello", "LANG=C", "PATH="} {
		if !strings.Contains(env+" ", want) {
			t.Errorf("%s is missing in %s", want, env)
		}
	}
	if strings.Contains(env, "C.UTF-8") {
		t.Errorf("the default of LANG was not replaced: %s", env)
	}
	if r.Hostname != "tester.example" || len(r.Hosts) != 1 || r.Hosts[0] != "127.0.1.1" {
		t.Errorf("host %s is %v", r.Hostname, r.Hosts)
	}
	if !strings.Contains(r.Resolver, "nameserver 10.0.2.3") {
		t.Errorf("resolv.conf: %s", r.Resolver)
	}
	if !strings.Contains(r.Limits, "1048576") {
		t.Errorf("limits: %s", r.Limits)
	}
	t.Logf("%s\n%s", strings.Join(m.seen, "\n"), r.Init)
	m.press()
	m.expect("imgbuild: stopping power button")
	m.expect("app: stopping")
	m.expect("imgbuild: exited status 0")
	m.expect("imgbuild: poweroff")
	m.ended()
}
