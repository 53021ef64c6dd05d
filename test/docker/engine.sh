# A Docker daemon for one test, sourced by test.sh.
#
# It runs in network, mount and process namespaces of its own: the machine's
# bridges, packet filter and mounts stay as they are. When the test ends, however
# it does, the kernel ends the first process of the namespaces, and with it all
# others, containers included. slirp4netns leads out of the network namespace.

# shellcheck shell=bash

# start_engine DIR starts the daemon on files below DIR and points docker to it.
start_engine() {
	engine=$1
	export DOCKER_HOST=unix://$engine/docker.sock DOCKER_CONFIG=$engine/client
	mkdir -p "$engine/etc" "$DOCKER_CONFIG"
	setpriv --pdeathsig KILL unshare --net --mount --pid --mount-proc --fork --kill-child \
		sh -c "$daemon" "$engine" "$(basename "$engine")" >"$engine/log" 2>&1 &
	engine_pid=$!
	until [ "$(readlink /proc/$engine_pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
	setpriv --pdeathsig KILL slirp4netns --configure --disable-host-loopback --ready-fd 3 "$engine_pid" tap0 \
		3>"$engine/online" >"$engine/slirp.log" 2>&1 &
	slirp_pid=$!
	for _ in $(seq 150); do
		docker version >/dev/null 2>&1 && return
		{ kill -0 "$engine_pid" && kill -0 "$slirp_pid"; } 2>/dev/null || break
		sleep 0.2
	done
	fail "the Docker daemon does not answer"
}

# daemon is what the first process of the namespaces runs: it waits for the
# network, and reaps what its children leave. 10.0.2.3 is the name server that
# slirp4netns provides (slirp4netns(1)). The daemon would keep a key in
# /etc/docker.
# shellcheck disable=SC2016
daemon='
	[ ! -d /etc/docker ] || mount --bind "$0/etc" /etc/docker
	while [ ! -s "$0/online" ]; do sleep 0.1; done
	dockerd --host "unix://$0/docker.sock" --data-root "$0/data" --exec-root "$0/exec" \
		--pidfile "$0/pid" --cgroup-parent "/$1" --dns 10.0.2.3 --log-level warn &
	wait'

# stop_engine ends the daemon and all that it started.
stop_engine() {
	[ -n "${engine_pid-}" ] || return 0
	timeout 20 docker ps --quiet 2>/dev/null | xargs -r timeout 20 docker kill >/dev/null 2>&1 || true
	# unshare lets no other signal end it while its child lives.
	kill -KILL "$engine_pid" "${slirp_pid:-$engine_pid}" 2>/dev/null || true
	wait "$engine_pid" "${slirp_pid:-$engine_pid}" 2>/dev/null || true
	find /sys/fs/cgroup -depth -type d -path "*/$(basename "$engine")*" -exec rmdir {} + 2>/dev/null || true
}

# in_engine runs a command in the daemon's network.
in_engine() { nsenter --target "$engine_pid" --net -- "$@"; }
